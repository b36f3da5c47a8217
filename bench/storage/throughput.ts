import { randomUUID } from 'node:crypto'
import { formatBytes } from '../../src/cli/format.ts'
import { ensurePrograms } from '../../test/support/programs.ts'
import type { S3ServerKind } from '../../test/support/s3-server.ts'
import type { Contender } from '../registry/contender.ts'
import { megabyte } from '../registry/content.ts'
import { hammer, median, timesPerSecond } from '../registry/measure.ts'
import { startOnS3 } from './contenders.ts'
import { Noise } from './noise.ts'
import { pushNoise } from './push-noise.ts'

const seconds = 3
const repository = 'bench/s3'

interface Load {
  readonly name: string
  /** Bytes of each blob. */
  readonly size: number
  readonly parallel: number
  /** How many blobs one turn pushes. */
  readonly pushes: number
  readonly turns: number
}

const loads: readonly Load[] = [
  { name: '10 MB × 8', size: 10 * megabyte, parallel: 8, pushes: 24, turns: 3 },
  { name: '100 MB × 1', size: 100 * megabyte, parallel: 1, pushes: 2, turns: 3 },
  { name: '100 MB × 4', size: 100 * megabyte, parallel: 4, pushes: 4, turns: 3 },
  { name: '1 GiB × 1', size: 1024 ** 3, parallel: 1, pushes: 1, turns: 1 },
]

/** Bytes per second of pushes as docker does them, and of pulls of one blob, through the registry. */
export async function compareThroughput(kind: S3ServerKind): Promise<string[][]> {
  await ensurePrograms('wrk')
  await using contenders = await startOnS3(kind)
  const both = [contenders.peer, contenders.varve]
  const rows: string[][] = []
  for (const load of loads) {
    const pushes = both.map((): number[] => [])
    const pulls = both.map((): number[] => [])
    for (let turn = 0; turn < load.turns; turn += 1) {
      const blobs = Array.from({ length: load.pushes }, () => new Noise(load.size))
      for (const [index, contender] of both.entries()) pushes[index]?.push(await push(contender, load, blobs))
      for (const [index, contender] of both.entries())
        pulls[index]?.push(await pull(contender, load, blobs[0]))
    }
    rows.push(row(`${kind}, push ${load.name}`, pushes), row(`${kind}, pull ${load.name}`, pulls))
    for (const cells of rows.slice(-2)) console.log(cells.join('  '))
  }
  return rows
}

/** Each into a repository of its own, so that the peer has no old upload to look through. */
async function push({ url }: Contender, load: Load, blobs: readonly Noise[]): Promise<number> {
  const rate = await timesPerSecond(blobs.length, load.parallel, async index => {
    const blob = blobs[index]
    if (blob !== undefined) await pushNoise(url, index === 0 ? repository : `push/${randomUUID()}`, blob)
  })
  return rate * load.size
}

async function pull({ url }: Contender, { parallel }: Load, blob: Noise | undefined): Promise<number> {
  return (await hammer(`${url}/v2/${repository}/blobs/${blob?.digest}`, parallel, seconds)).bytesPerSecond
}

function row(what: string, values: readonly number[][]): string[] {
  const [peer = Number.NaN, varve = Number.NaN] = values.map(median)
  return [what, `${formatBytes(peer)}/s`, `${formatBytes(varve)}/s`, `${(varve / peer).toFixed(2)}×`]
}
