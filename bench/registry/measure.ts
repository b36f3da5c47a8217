import { mediaTypes } from '../../src/storage/media-types.ts'
import { exec } from '../../test/support/process.ts'

/** docker-registry has no OCI manifest for whoever does not ask for one. */
const accept = `Accept: ${mediaTypes.ociManifest}`

export interface Rate {
  readonly perSecond: number
  readonly bytesPerSecond: number
}

/** Asks for one URL over and over with wrk, which takes one thread however many connections. Fails on any error. */
export async function hammer(
  url: string,
  connections: number,
  seconds: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Rate> {
  const more = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '30s', '-H', accept]
  const output = await exec('wrk', [...args, ...more, url])
  if (/Non-2xx|Socket errors/.test(output)) throw new Error(`${url}: ${output}`)
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1] ?? Number.NaN),
    bytesPerSecond: bytesOf(/Transfer\/sec:\s+([\d.]+)([KMGT]?B)/.exec(output)),
  }
}

const units: Readonly<Record<string, number>> = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }

function bytesOf(match: RegExpExecArray | null): number {
  return Number(match?.[1] ?? Number.NaN) * (units[match?.[2] ?? ''] ?? Number.NaN)
}

/** Runs `work` `times` times with so many at once, and answers how many were done in a second. */
export async function timesPerSecond(
  times: number,
  concurrency: number,
  work: (index: number) => Promise<void>,
): Promise<number> {
  const started = performance.now()
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < times) await work(next++)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return times / ((performance.now() - started) / 1000)
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
