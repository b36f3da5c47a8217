import {
  chmod,
  chown,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'

const longAgo = 1_000_000_000

/** Everything about files that a chain must carry from a builder to its clones. */
export async function makeSampleTree(rootfs: string): Promise<void> {
  const at = (path: string) => join(rootfs, path)
  await mkdir(at('bin'))
  await mkdir(at('empty'))
  await writeFile(at('bin/su'), 'setuid program')
  await chown(at('bin/su'), 0, 42)
  await chmod(at('bin/su'), 0o4755)
  await link(at('bin/su'), at('bin/sudo'))
  await symlink('/bin/su', at('absolute'))
  await lchown(at('absolute'), 7, 8)
  await symlink('../../../outside', at('bin/upwards'))
  await writeFile(at('data'), Buffer.from([0, 255, 10, 13]))
  await chown(at('data'), 100_000, 4_000_000)
  await chmod(at('data'), 0o0604)
  await writeFile(Buffer.concat([Buffer.from(`${rootfs}/`), Buffer.from([0xff, 0xfe])]), 'odd name')
  await chown(at('empty'), 33, 33)
  await chmod(at('empty'), 0o1777)
  await lutimes(at('absolute'), longAgo, longAgo)
  for (const path of ['data', 'bin/su', 'bin', 'empty'])
    await utimes(at(path), longAgo + path.length, longAgo + path.length)
  await chmod(rootfs, 0o555)
  await ageRoot(rootfs)
}

/** For whoever adds to the top directory of a sample tree and takes away again. */
export async function ageRoot(rootfs: string): Promise<void> {
  await utimes(rootfs, longAgo, longAgo)
}

export interface SampleEntry {
  /** Latin-1, so that every byte shows. */
  readonly path: string
  readonly type: string
  readonly owner: string
  readonly modifiedAt: number | undefined
  readonly links: string
  readonly content: string
}

/**
 * `rootfs` itself (as '') and all entries below it, by path; hard links are told by the first path of their
 * file.
 */
export async function readSampleTree(rootfs: string): Promise<SampleEntry[]> {
  const options = { recursive: true, encoding: 'latin1' } as const
  const paths = ['', ...(await readdir(rootfs, options)).toSorted()]
  const firstPathOf = new Map<number, string>()
  const entries: SampleEntry[] = []
  for (const path of paths) {
    const full = Buffer.concat([Buffer.from(`${rootfs}/`), Buffer.from(path, 'latin1')])
    const { mode, uid, gid, mtimeMs, ino } = await lstat(full)
    const first = firstPathOf.get(ino) ?? path
    firstPathOf.set(ino, first)
    const kind = mode & 0o170000
    const isLink = kind === 0o120000
    entries.push({
      path,
      type: mode.toString(8),
      owner: `${uid}:${gid}`,
      modifiedAt: path.startsWith('\u00ff') || path.endsWith('upwards') ? undefined : mtimeMs,
      links: first,
      content: isLink ? await readlink(full) : kind === 0o100000 ? await readFile(full, 'latin1') : '',
    })
  }
  return entries
}
