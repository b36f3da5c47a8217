import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isScanned, keepForScan, keepRecords } from './test-logs.ts'
import { varveProgram } from './varve.ts'

/** `varve serve` as a process of its own. */
export interface ServedRegistry extends AsyncDisposable {
  readonly process: ChildProcess
  /** `http://127.0.0.1:PORT`, or `https://…`. */
  readonly url: string
  /** That of metrics and health. */
  readonly debugUrl: string
  /** Its log so far. */
  lines(): readonly Record<string, unknown>[]
  /** Most memory that was ever resident (VmHWM), in bytes: proc_pid_status(5). */
  peakBytes(): Promise<number>
  /** Asks it to stop. Answers its exit code. */
  stop(): Promise<number | null>
}

/** Starts it on free ports. @throws Error with what it logged when it does not come up. */
export async function serveRegistry(data: string, ...args: readonly string[]): Promise<ServedRegistry> {
  const addresses = ['--address', '127.0.0.1:0', '--metrics-address', '127.0.0.1:0']
  const child = spawn(varveProgram, ['serve', '--data', data, ...addresses, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null]>
  const lines: Record<string, unknown>[] = []
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>()
  let debugAddress = ''
  createInterface({ input: child.stdout }).on('line', text => {
    keepForScan(text)
    // What is killed may leave half a line.
    if (!text.endsWith('}')) return
    const line: Record<string, unknown> = JSON.parse(text)
    lines.push(line)
    if (line['message'] === 'metrics are served') debugAddress = String(line['address'])
    if (line['message'] === 'registry is listening') resolve(String(line['url']))
  })
  ended.then(() => reject(new Error(`varve serve ended:\n${JSON.stringify(lines)}`)), reject)
  const stop = async () => {
    keepForScan(await metricsOf(debugAddress))
    child.kill('SIGTERM')
    const [code] = await ended
    keepRecords(join(data, 'registry', 'varve.db'))
    return code
  }
  return {
    process: child,
    url: await listening,
    debugUrl: `http://${debugAddress}`,
    lines: () => lines,
    peakBytes: async () => {
      const [, kilobytes] =
        /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8')) ?? []
      if (kilobytes === undefined) throw new Error('the process has no VmHWM')
      return Number(kilobytes) * 1024
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop()
    },
  }
}

/** Nothing where they are not served any more, or not at once. */
async function metricsOf(debugAddress: string): Promise<string> {
  if (!isScanned || debugAddress === '') return ''
  const answer = fetch(`http://${debugAddress}/metrics`, { signal: AbortSignal.timeout(1000) })
  return await answer.then(async response => await response.text()).catch(() => '')
}
