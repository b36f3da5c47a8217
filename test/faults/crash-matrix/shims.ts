import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * When the caller of a command is killed: before the command does anything; after it has done everything, which the
 * caller never hears of; or before it does anything, and it does everything later, when the store has been opened and
 * cleaned up by somebody else. What a process has asked for outlives it.
 */
export type Moment = 'before' | 'after' | 'late'

export const moments: readonly Moment[] = ['before', 'after', 'late']

/**
 * A `zfs` that tries again what is busy. zfs-fuse is for a moment after every unmount, at one time more than at another,
 * and here all runs must ask for the same commands.
 */
export async function writePatientZfs(directory: string): Promise<string> {
  const lines = [
    '#!/bin/sh',
    'tries=0',
    'while :; do',
    '  { said=$(zfs "$@" 2>&1 >&3); } 3>&1',
    '  status=$?',
    '  case "$status:$said" in',
    '    0:*) break ;;',
    "    *busy*|*'umount failed'*|*'I/O error'*) tries=$((tries + 1)); [ $tries -lt 100 ] || break; sleep 0.02 ;;",
    '    *) break ;;',
    '  esac',
    'done',
    '[ -z "$said" ] || printf \'%s\\n\' "$said" >&2',
    'exit $status',
  ]
  return await writeScript(join(directory, 'patient-zfs'), lines)
}

export const separator = '\x1f'

/** The files by which a {@link writeKillingZfs} and a test talk. */
export interface ShimFiles {
  readonly program: string
  /** Commands count as soon as it is there. */
  readonly counting: string
  /** One line for each command, with a {@link separator} after each argument. */
  readonly log: string
  /** There when the command at which the caller was killed has ended, or will not be run. */
  readonly ended: string
  /** Lets a late command run. */
  readonly release: string
}

/**
 * A `zfs` that kills its caller at one of its commands.
 * @param at counted from 1; without it nobody is killed.
 */
export async function writeKillingZfs(
  directory: string,
  zfs: string,
  { at, moment }: { readonly at?: number; readonly moment: Moment },
): Promise<ShimFiles> {
  const files: ShimFiles = {
    program: join(directory, 'zfs'),
    counting: join(directory, 'counting'),
    log: join(directory, 'log'),
    ended: join(directory, 'ended'),
    release: join(directory, 'release'),
  }
  const ending: Readonly<Record<Moment, readonly string[]>> = {
    before: ['kill -9 "$PPID"'],
    after: [`'${zfs}' "$@"`, 'kill -9 "$PPID"'],
    late: [
      'kill -9 "$PPID"',
      `while [ ! -e '${files.release}' ]; do sleep 0.02; done`,
      // Nobody is there any more to hear what it says.
      `'${zfs}' "$@" >/dev/null 2>&1`,
    ],
  }
  await writeScript(files.program, [
    '#!/bin/sh',
    `[ -e '${files.counting}' ] || exec '${zfs}' "$@"`,
    `{ printf '%s\\037' "$@"; echo; } >> '${files.log}'`,
    `[ "$(wc -l < '${files.log}')" -eq ${at ?? 0} ] || exec '${zfs}' "$@"`,
    ...ending[moment],
    `: > '${files.ended}'`,
  ])
  return files
}

async function writeScript(path: string, lines: readonly string[]): Promise<string> {
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o755 })
  return path
}
