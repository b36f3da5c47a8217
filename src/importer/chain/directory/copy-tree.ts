import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DomainError, errnoOf, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'

const run = promisify(execFile)
const environment = Object.freeze({ LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' })
const maxOutputBytes = 1024 * 1024

export interface CopyOptions extends Abortable {
  /**
   * `copy` gives a tree of its own. `share` gives names of the same files, which costs nearly nothing and is
   * right only where files are replaced and never written into, as applying a layer does.
   */
  readonly files: 'copy' | 'share'
}

/**
 * Copies a directory with everything that an image is made of: owners, modes, times (of directories too),
 * links, extended attributes. GNU cp does all of it, and clones blocks where the filesystem can; Node's `cp`
 * does neither.
 * @param to must not be there yet.
 */
export async function copyTree(from: string, to: string, options: CopyOptions): Promise<void> {
  const how = options.files === 'share' ? ['--link'] : ['--reflink=auto']
  await runCoreutil('cp', ['--archive', '--no-target-directory', ...how, '--', from, to], to, options)
}

/**
 * Makes everything below `path` survive a crash of the machine: one call for the filesystem instead of one
 * per file.
 */
export async function flush(path: string, options: Abortable = {}): Promise<void> {
  await runCoreutil('sync', ['--file-system', '--', path], path, options)
}

async function runCoreutil(
  program: string,
  args: readonly string[],
  path: string,
  { signal }: Abortable,
): Promise<void> {
  signal?.throwIfAborted()
  try {
    await run(program, args, { env: environment, maxBuffer: maxOutputBytes, signal })
  } catch (cause) {
    signal?.throwIfAborted()
    throw convertCoreutilFailure(program, path, cause)
  }
}

/** The one place where a failure of `cp` or `sync` becomes ours. */
export function convertCoreutilFailure(program: string, path: string, cause: unknown): DomainError {
  if (isDomainError(cause)) return cause
  const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).split('\n')[0] : ''
  const subject = { resource: 'chain', name: path } as const
  if (errnoOf(cause) === 'ENOENT')
    return new DomainError(
      'unavailable',
      `The program ${program} is not on this host; a directory for the chains needs GNU coreutils.`,
      subject,
      { cause },
    )
  if (said !== undefined && /no space left|quota exceeded/i.test(said))
    return new DomainError('no_space', `There is no space left for ${path}; free some.`, subject, { cause })
  return new DomainError('unavailable', `${program} failed for ${path}: ${said ?? ''}.`, subject, { cause })
}
