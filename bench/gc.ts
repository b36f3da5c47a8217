/**
 * The garbage collection of a registry that is pushed to and pulled from meanwhile: deletions per minute, and how long
 * pushes and pulls take, beside the same registry without collection.
 *
 *     make bench-gc [ONLY=filesystem,versitygw] [BLOBS=100000]
 *
 * Every blob is linked by one of 100 repositories, no manifest names it, and its grace is over. A deletion is all of it: the
 * link is looked at and taken away, then the blob, then the object.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { formatTable } from '../src/cli/format.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { leftIn, makeGarbage } from './gc/garbage.ts'
import { type Latencies, percentile, underLoad } from './gc/load.ts'
import { filesystem, type Place, s3 } from './gc/places.ts'
import { varveWith } from './registry/contender.ts'

/** How long it is looked at without collection. */
const quietMs = 15_000
/** Looks at how much is left. */
const lookMs = 250

const places: Readonly<Record<string, (data: string, stack: AsyncDisposableStack) => Promise<Place>>> = {
  filesystem: async data => filesystem(data),
  versitygw: async (_data, stack) => await s3('versitygw', stack),
}

export async function run(): Promise<void> {
  const blobs = Number(process.env['BLOBS'] || 100_000)
  const only = process.env['ONLY'] ?? ''
  const rows: string[][] = []
  for (const [name, open] of Object.entries(places)) {
    if (only !== '' && !only.split(',').includes(name)) continue
    await using stack = new AsyncDisposableStack()
    const data = stack.use(await temporaryDirectory()).path
    const place = await open(data, stack)
    const beganAt = performance.now()
    await makeGarbage(data, { blobs, repositories: 100, bytes: 4096 }, place.write)
    console.log(`${name}: ${blobs} blobs written in ${((performance.now() - beganAt) / 1000).toFixed(0)} s`)
    const quiet = await measure(data, place, false, () => sleep(quietMs))
    const busy = await measure(data, place, true, () => untilCollected(data))
    rows.push([name, '', perMinute(blobs, busy.seconds), ...shown(quiet.latencies, busy.latencies)])
    console.log(rows.at(-1)?.join('  '))
  }
  const times = ['push p50', 'p99', 'pull p50', 'p99']
  console.log(`\n${formatTable(['', '', 'deletions/min', ...times], rows)}\n(ms without collection → with)`)
}

interface Measured {
  readonly latencies: Latencies
  readonly seconds: number
}

async function measure(
  data: string,
  { storage }: Place,
  enabled: boolean,
  work: () => Promise<unknown>,
): Promise<Measured> {
  const collect = { enabled, objectDelayMinutes: 0 }
  const registry = await varveWith({ storage, collect })(data)
  try {
    const started = performance.now()
    const latencies = await underLoad(registry.url, work())
    return { latencies, seconds: (performance.now() - started) / 1000 }
  } finally {
    await registry.stop()
  }
}

async function untilCollected(data: string): Promise<void> {
  for (let lookedAt = 0; ; lookedAt += 1) {
    const { links, objects } = leftIn(data)
    if (lookedAt % 20 === 0) console.log(`${links} links and ${objects} objects left`)
    if (links + objects === 0) return
    await sleep(lookMs)
  }
}

function perMinute(blobs: number, seconds: number): string {
  return `${Math.round((blobs / seconds) * 60)} (${seconds.toFixed(1)} s)`
}

function shown(quiet: Latencies, busy: Latencies): string[] {
  return (['pushes', 'pulls'] as const).flatMap(kind =>
    [50, 99].map(percent => {
      const [before, with_] = [percentile(quiet[kind], percent), percentile(busy[kind], percent)]
      return `${before.toFixed(1)} → ${with_.toFixed(1)} (${(with_ / before).toFixed(2)}×)`
    }),
  )
}

if (import.meta.main) await run()
