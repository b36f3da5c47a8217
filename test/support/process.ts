import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { isAbort } from '../../src/errors.ts'
import { searchPath } from './programs.ts'

export interface ExecOptions {
  readonly cwd?: string | undefined
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
}

const run = promisify(execFile)
const maxOutputBytes = 64 * 1024 * 1024
const tailLength = 4000

/**
 * Runs a program of this machine, without a shell, and answers what it wrote to standard output.
 *
 * @throws Error with the command and the end of what it wrote to standard error, when it cannot be started,
 * exits with another status than 0 or is killed; AbortError when the signal says so.
 */
export async function exec(
  program: string,
  args: readonly string[],
  { cwd, env, signal }: ExecOptions = {},
): Promise<string> {
  try {
    const { stdout } = await run(program, args, {
      cwd,
      env: { ...process.env, PATH: searchPath, LC_ALL: 'C.UTF-8', ...env },
      maxBuffer: maxOutputBytes,
      ...(signal === undefined ? {} : { signal }),
    })
    return stdout
  } catch (cause) {
    if (isAbort(cause)) throw cause
    throw new Error(`${[program, ...args].join(' ')}: ${reasonOf(cause)}`, { cause })
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const stderr = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : ''
  const code = 'code' in error ? error.code : undefined
  if (typeof code !== 'number') return stderr === '' ? error.message : stderr.slice(-tailLength)
  return `exit status ${code}${stderr === '' ? '' : `\n${stderr.slice(-tailLength)}`}`
}
