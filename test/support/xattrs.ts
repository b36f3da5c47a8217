import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { searchPath } from './programs.ts'

/** By path below the root, one character (latin1) for each byte: `name=0xhex` of each attribute, sorted. */
export type Xattrs = ReadonlyMap<string, readonly string[]>

/** The extended attributes of all that is in a tree, symlinks' own included. Takes the program getfattr. */
export function listXattrs(root: string): Xattrs {
  // -h: of a symlink, not of what it names. -d -m -: all, and not those of `user.` only.
  const output = execFileSync('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: root,
    env: { PATH: searchPath },
    encoding: 'latin1',
    maxBuffer: 256 * 1024 * 1024,
  })
  return new Map(output.split('\n\n').filter(Boolean).map(parseFile))
}

/** Why no extended attributes can be set in the directory; undefined when they can. Takes the program setfattr. */
export function whyNoXattrs(directory: string): string | undefined {
  const probe = mkdtempSync(join(directory, 'varve-xattr-'))
  try {
    const path = join(probe, 'file')
    writeFileSync(path, '')
    const options = { env: { PATH: searchPath, LC_ALL: 'C' }, encoding: 'utf8' } as const
    const { status, stderr } = spawnSync('setfattr', ['-n', 'user.probe', '-v', '1', path], options)
    return status === 0 ? undefined : `${directory}: ${stderr.trim()}`
  } finally {
    rmSync(probe, { recursive: true })
  }
}

function parseFile(paragraph: string): [path: string, attributes: readonly string[]] {
  const [heading = '', ...attributes] = paragraph.split('\n')
  return [unquote(heading.slice('# file: '.length)), attributes.map(unquote).sort()]
}

/** getfattr writes newlines, carriage returns, backslashes, and `=` in a name, as three octal digits. */
function unquote(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
