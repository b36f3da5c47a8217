import { setInterval } from 'node:timers/promises'
import type { Server } from 'node:tls'
import { isAbort } from '../errors.ts'
import { readTlsFiles, type TlsFiles, versionOf } from './tls-files.ts'

export interface RenewalOptions {
  /** How often the files are looked at. Milliseconds. */
  readonly everyMs?: number | undefined
  readonly onRenewed?: (() => void) | undefined
  /** Told when new files cannot be used; the server goes on with the old ones, and looks again. */
  readonly onProblem?: ((error: unknown) => void) | undefined
}

/**
 * Gives a server its certificates anew when their files change. Connections that are there keep theirs; sessions of
 * before are not resumed, so each client shows its certificate to the new authorities.
 *
 * @param version of the files, as {@link versionOf} told it before they were read.
 */
export function renewCertificates(
  server: Server,
  files: TlsFiles,
  version: string,
  { everyMs = 10_000, onRenewed, onProblem }: RenewalOptions = {},
): AsyncDisposable {
  const stop = new AbortController()
  let served = version
  let told = ''
  const look = async (): Promise<void> => {
    try {
      const now = await versionOf(files)
      if (now === served) return
      server.setSecureContext(await readTlsFiles(files))
      served = now
      told = ''
      onRenewed?.()
    } catch (error) {
      // Once for each problem: it may last for days.
      const problem = String(error)
      if (problem !== told) onProblem?.(error)
      told = problem
    }
  }
  const watching = (async () => {
    try {
      for await (const _ of setInterval(everyMs, undefined, { signal: stop.signal, ref: false })) await look()
    } catch (error) {
      if (!isAbort(error)) throw error
    }
  })()
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await watching
    },
  }
}
