import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DaemonProcess, startDaemonProcess } from './child-daemon.ts'
import { onFreePort } from './free-port.ts'
import { ensureGoProgram, skipWithoutGo } from './go.ts'

/** First build, measured on two cores: 12 s. */
const program = ['github.com/olareg/olareg/cmd/olareg', 'v0.2.2'] as const

/**
 * A registry that has nothing in common with the others here: one of OCI 1.1 with the API for referrers and without a
 * catalog, which keeps what it has as OCI layouts.
 */
export interface Olareg {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  stop(): Promise<void>
}

export interface OlaregOptions {
  /** Requests per second that it takes; it answers 429 beyond. */
  readonly rateLimit?: number | undefined
}

/** For `skip` of a suite; builds it when it is not there yet. */
export async function skipWithoutOlareg(): Promise<string | false> {
  return await skipWithoutGo(program)
}

/** Starts one whose storage is the directory, which stays. It takes indexes whose images are not there, and deletes. */
export async function startOlareg(directory: string, { rateLimit }: OlaregOptions = {}): Promise<Olareg> {
  const executable = await ensureGoProgram(...program)
  const storage = join(directory, 'layouts')
  await mkdir(storage, { recursive: true })
  return await onFreePort(async port => {
    const url = `http://127.0.0.1:${port}`
    const daemon: DaemonProcess = await startDaemonProcess(join(directory, 'olareg.log'), {
      program: executable,
      args: [
        ...['serve', '--addr', '127.0.0.1', '--port', `${port}`, '--dir', storage],
        ...['--api-delete', '--api-blob-delete', '--api-sparse-index', '--gc-frequency', '-1s'],
        ...(rateLimit === undefined ? [] : ['--rate-limit', `${rateLimit}`]),
      ],
      ask: async () => {
        if (!(await fetch(`${url}/v2/`)).ok) throw new Error('not ready')
      },
    })
    return { url, stop: () => daemon.end() }
  })
}
