import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, lutimesSync, mkdirSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { exec } from '../../support/process.ts'
import { searchPath, skipWithout } from '../../support/programs.ts'
import { listTree, type Tree } from '../../support/tree.ts'

/** Other readers of tar, which extract whatever they are given. */
export type Tool = 'gnu' | 'bsd'

/**
 * In the root directory that an archive is extracted in, absolute names and links stay in it as they do for us, so
 * that neither program has to guard itself against them: with its guards it would leave out what we apply.
 */
const commands: Readonly<Record<Tool, string>> = {
  gnu: 'tar --extract --absolute-names --preserve-permissions --same-owner --numeric-owner --delay-directory-restore --file',
  bsd: 'bsdtar -x -p -P --numeric-owner -f',
}

/** Of the host, read-only, so that the programs run; no archive has such names. */
const hostDirectories = ['usr', 'bin', 'lib', 'lib64']
const mailbox = '.oracle'
const reserved: ReadonlySet<string> = new Set([...hostDirectories, mailbox])

/**
 * Extracts what it is told to by its standard input, one file name in the mailbox a line, and answers `@STATUS` for each.
 *
 * It does so in a mount namespace of its own, with the archive's root as its root, no device usable in it and no
 * capability beyond what extracting takes: an archive can do nothing to this machine.
 */
const jail = `
set -e
root=$1 mailbox=$2 command=$3
mount --bind "$root" "$root"
mount -o remount,bind,nodev,nosuid "$root"
for name in ${hostDirectories.join(' ')}; do
  if [ -L "/$name" ]; then cp -d "/$name" "$root/$name"
  elif [ -d "/$name" ]; then
    mkdir -p "$root/$name"
    mount --bind "/$name" "$root/$name"
    mount -o remount,bind,ro,nodev,nosuid "$root/$name"
  fi
done
mkdir -p "$root/${mailbox}"
mount --bind "$mailbox" "$root/${mailbox}"
mount -o remount,bind,ro,nodev,nosuid "$root/${mailbox}"
exec chroot "$root" /usr/bin/setpriv \
  --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+mknod,+setfcap --inh-caps=-all --no-new-privs \
  /bin/sh -c 'cd /; echo @ready; while read -r name; do '"$command"' "/${mailbox}/$name" 2>&1 </${mailbox}/empty; echo "@$?"; done'
`

/** What `skip` of a suite wants: why the other programs cannot be run here, or false. */
export async function skipWithoutJail(): Promise<string | false> {
  const reason = await skipWithout('tar', 'bsdtar', 'unshare', 'setpriv', 'getfattr', 'setfattr')
  if (reason !== false) return reason
  return await exec('unshare', ['--mount', '--pid', '--fork', 'true']).then(
    () => false,
    () => 'the host permits no namespaces of its own to tests, and tar is let loose in nothing less',
  )
}

/** Of one extraction, which takes milliseconds. */
const limitMs = 60_000

export interface Extracted {
  readonly tree: Tree
  /** What the program wrote, and its exit status, of the last layer. */
  readonly said: string
  readonly status: number
}

/** One of the programs, in its jail, kept running. Extracts one archive at a time. */
export class Oracle implements AsyncDisposable {
  readonly tool: Tool
  readonly #root: string
  readonly #mailbox: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  private constructor(tool: Tool, directory: string) {
    this.tool = tool
    this.#root = join(directory, 'root')
    this.#mailbox = join(directory, 'mailbox')
    for (const path of [directory, this.#root, this.#mailbox]) mkdirSync(path)
    writeFileSync(join(this.#mailbox, 'empty'), '')
    this.#child = spawn(
      'unshare',
      [
        '--mount',
        '--propagation=private',
        '--pid',
        '--fork',
        '--kill-child',
        'sh',
        '-c',
        jail,
        'jail',
        this.#root,
        this.#mailbox,
        commands[tool],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: searchPath, LC_ALL: 'C.UTF-8' } },
    )
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  /** @param directory is made, and is the caller's to remove. */
  static async start(tool: Tool, directory: string): Promise<Oracle> {
    const oracle = new Oracle(tool, directory)
    await oracle.#answer()
    emptyRoot(oracle.#root, new Map())
    return oracle
  }

  /** The tree that the layers make, each extracted over the one before, in an empty directory. */
  async extract(layers: readonly Uint8Array[]): Promise<Extracted> {
    let said = ''
    let status = 0
    for (const layer of layers) {
      writeFileSync(join(this.#mailbox, 'archive'), layer)
      // Its end ends all processes in the jail.
      const limit = setTimeout(() => this.#child.kill('SIGKILL'), limitMs)
      try {
        this.#child.stdin.write('archive\n')
        ;({ said, status } = await this.#answer())
      } finally {
        clearTimeout(limit)
      }
    }
    const all = listTree(this.#root)
    const tree = new Map([...all].filter(([path]) => !reserved.has(path.split('/', 1)[0] ?? '')))
    emptyRoot(this.#root, tree)
    return { tree, said, status }
  }

  async #answer(): Promise<{ said: string; status: number }> {
    const said: string[] = []
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done === true) throw new Error(`${this.tool} tar's jail has ended: ${said.join('\n')}`)
      if (value === '@ready') return { said: '', status: 0 }
      if (/^@\d+$/.test(value)) return { said: said.join('\n'), status: Number(value.slice(1)) }
      said.push(value)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.stdin.end()
    await once(this.#child, 'exit')
  }
}

/** What a root directory is before anything is applied: older than anything that happens in a test. */
const rootTime = 1000

/** Removes all that `tree` has, and gives the root the attributes that it starts with. */
export function emptyRoot(root: string, tree: Tree): void {
  for (const [path, { type }] of [...tree].toReversed()) {
    if (path === '.') continue
    const at = Buffer.from(`${root}/`)
    const absolute = Buffer.concat([at, Buffer.from(path, 'latin1')])
    if (type === 'directory') rmdirSync(absolute)
    else unlinkSync(absolute)
  }
  chownSync(root, 0, 0)
  chmodSync(root, 0o755)
  lutimesSync(root, rootTime, rootTime)
}
