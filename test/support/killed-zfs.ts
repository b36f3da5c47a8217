import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** When the command dies: before it has done anything, or when it has worked and nobody has been told. */
export type KilledWhen = 'before' | 'after'

/** A program in the place of zfs, of which one command is ended by a signal, as Ctrl-C or a want of memory ends it. */
export interface KilledZfs {
  readonly program: string
  /** From now on the `nth` command dies, once; the first is 1. With `only`, the nth with that first argument. */
  arm(nth: number, when: KilledWhen, only?: string): Promise<void>
  /** The first argument of the command that has died since; `undefined` when there were fewer. Nothing more dies. */
  disarm(): Promise<string | undefined>
}

const script = `#!/bin/sh
if [ -e "$0.armed" ]; then
  read -r left when only < "$0.armed"
  if [ -n "$only" ] && [ "$only" != "$1" ]; then
    :
  elif [ "$left" -gt 1 ]; then
    echo "$((left - 1)) $when $only" > "$0.armed"
  else
    rm "$0.armed"
    echo "$1" > "$0.killed"
    [ "$when" = after ] && zfs "$@" > "$0.out" 2>&1
    kill -TERM $$
  fi
fi
exec zfs "$@"
`

export async function killedZfs(directory: string): Promise<KilledZfs> {
  const program = join(directory, 'zfs')
  await writeFile(program, script, { mode: 0o755 })
  const armed = `${program}.armed`
  const killed = `${program}.killed`
  return {
    program,
    async arm(nth, when, only = '') {
      await writeFile(killed, '')
      await writeFile(armed, `${nth} ${when} ${only}\n`)
    },
    async disarm() {
      await rm(armed, { force: true })
      return (await readFile(killed, 'utf8')).trim() || undefined
    },
  }
}
