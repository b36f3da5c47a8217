import { chmod, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A program in the place of zfs, which tells what was asked of it. */
export interface LoggedZfs {
  readonly program: string
  /**
   * First arguments of the commands since the last time, in order; `listing` for what reads all that is below something.
   * What found something busy, and is tried again, does not count.
   */
  readonly taken: () => Promise<string[]>
}

/** @param before lines of sh that run before zfs does, with its arguments. */
export async function loggedZfs(directory: string, before = ''): Promise<LoggedZfs> {
  const program = join(directory, `zfs-${Math.random().toString(36).slice(2)}`)
  const log = `${program}.log`
  await writeFile(log, '')
  const script = [
    '#!/bin/sh',
    before,
    'zfs "$@" 2> "$0.$$"',
    'code=$?',
    'cat "$0.$$" >&2',
    'grep -qE "busy|umount failed|I/O error" "$0.$$" || echo "$1 $*" >> "$0.log"',
    'rm "$0.$$"',
    'exit $code',
  ]
  await writeFile(program, `${script.join('\n')}\n`)
  await chmod(program, 0o755)
  return {
    program,
    async taken() {
      const lines = (await readFile(log, 'utf8')).split('\n').filter(line => line !== '')
      await truncate(log)
      return lines.map(line => (/^get .* -r /.test(line) ? 'listing' : line.slice(0, line.indexOf(' '))))
    },
  }
}
