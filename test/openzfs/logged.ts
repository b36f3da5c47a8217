import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { searchPath } from '../support/programs.ts'

export interface LoggedOptions {
  /** What the program prints is added to it. */
  readonly logFile: string
  readonly limitSeconds: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs a program that prints a lot and takes long, with less right to the processors than all else here. It ends with
 * this process, however that ends.
 *
 * @throws Error with the last lines of the log when it fails or takes longer than the limit.
 */
export async function runLogged(
  program: string,
  args: readonly string[],
  { logFile, limitSeconds, signal }: LoggedOptions,
): Promise<void> {
  const log = await open(logFile, 'a')
  const limit = AbortSignal.timeout(limitSeconds * 1000)
  const stop = signal === undefined ? limit : AbortSignal.any([limit, signal])
  try {
    const child = spawn('setpriv', ['--pdeathsig=KILL', 'nice', '-n', '10', program, ...args], {
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, PATH: searchPath, LC_ALL: 'C.UTF-8' },
      signal: stop,
      killSignal: 'SIGKILL',
    })
    const [code, killedBy] = (await once(child, 'close')) as [number | null, string | null]
    if (code !== 0) throw new Error(killedBy ?? `exit status ${code}`)
  } catch (cause) {
    signal?.throwIfAborted()
    const why = limit.aborted ? `took longer than ${limitSeconds} s` : String(cause)
    throw new Error(`${program}: ${why}. The end of its output:\n${await lastLines(logFile)}`, { cause })
  } finally {
    await log.close()
  }
}

/** The end of a text file, for a message. */
export async function lastLines(file: string, count = 40): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-count).join('\n')
}
