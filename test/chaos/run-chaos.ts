import { setTimeout as sleep } from 'node:timers/promises'
import { startReplicatedRegistry } from '../support/replicated-registry.ts'
import { ChaosClient } from './chaos-client.ts'
import { type Disturbances, disturb } from './disturbances.ts'
import { newTally, type Tally, Violation } from './ledger.ts'

export interface ChaosOptions {
  readonly seconds: number
  /** Of all random choices. What happens at the same time is not in its hands, so no two runs are the same. */
  readonly seed: number
  readonly clients?: number
  /** Told now and then how it goes. */
  readonly onProgress?: (tally: Readonly<Tally>) => void
}

export interface ChaosReport extends Tally, Disturbances {
  readonly faults: Readonly<Partial<Record<string, number>>>
  /** What the replicas have logged of requests that they answered with 500. */
  readonly mistakes: readonly string[]
  readonly violations: readonly string[]
  /** Looked at once more when all had calmed down. */
  readonly itemsChecked: number
}

const replicas = 3
const progressMs = 10_000

/**
 * Clients push, pull and delete through a round robin while replicas are killed, the database restarts and the bucket
 * fails; then, in peace, everything is looked at once more.
 */
export async function runChaos({
  seconds,
  seed,
  clients = 6,
  onProgress,
}: ChaosOptions): Promise<ChaosReport> {
  await using registry = await startReplicatedRegistry({ replicas, seed })
  const tally = newTally()
  const violations: string[] = []
  const all = Array.from(
    { length: clients },
    (_, index) =>
      new ChaosClient({ url: registry.url, repository: `chaos/c${index}`, seed: seed + index, tally }),
  )
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      violations.push(error.message)
    }
  }
  const over = AbortSignal.timeout(seconds * 1000)
  const acting = all.map(async client => {
    while (!over.aborted) {
      await attempt(() => client.act())
      // A registry that answers 503 at once would be asked for nothing else.
      await sleep(5)
    }
  })
  const timer = setInterval(() => onProgress?.(tally), progressMs)
  try {
    const [disturbances] = await Promise.all([disturb(registry, replicas, seed, over), ...acting])
    await Promise.all(all.map(client => attempt(() => client.check())))
    return {
      ...tally,
      ...disturbances,
      faults: registry.s3.injected(),
      mistakes: mistakesIn(registry.fleet.lines()),
      violations,
      itemsChecked: all.reduce((sum, { items, tags }) => sum + items.length + tags.size, 0),
    }
  } finally {
    clearInterval(timer)
  }
}

/** What the log says of every request that was answered with 500. */
function mistakesIn(lines: readonly Record<string, unknown>[]): string[] {
  const failed = new Set(lines.flatMap(({ status, requestId }) => (status === 500 ? [requestId] : [])))
  return lines.filter(({ requestId }) => failed.has(requestId)).map(line => JSON.stringify(line))
}
