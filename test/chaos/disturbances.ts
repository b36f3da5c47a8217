import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplicatedRegistry } from '../support/replicated-registry.ts'
import type { FaultMix } from '../support/s3-faults.ts'
import { seededRandom } from '../support/seeded-random.ts'

export interface Disturbances {
  kills: number
  databaseRestarts: number
  storeOutages: number
}

/** What happens to requests to the bucket: a sixth of them fails in some way. */
const mix: FaultMix = {
  latencyMs: 20,
  burst: 4,
  rates: {
    'internal-error': 0.02,
    'slow-down': 0.02,
    reset: 0.02,
    'reset-in-request': 0.01,
    'lost-answer': 0.01,
    'late-error': 0.01,
    'error-in-ok': 0.02,
    'reset-in-answer': 0.02,
    truncated: 0.02,
    'wrong-bytes': 0.02,
  },
}

/** Kills replicas, restarts the database and cuts the bucket off until the signal aborts; then all is well again. */
export async function disturb(
  registry: ReplicatedRegistry,
  replicas: number,
  seed: number,
  signal: AbortSignal,
): Promise<Disturbances> {
  const random = seededRandom(seed)
  const done: Disturbances = { kills: 0, databaseRestarts: 0, storeOutages: 0 }
  const pause = (fromMs: number, toMs: number) =>
    sleep(fromMs + random() * (toMs - fromMs), undefined, { signal }).catch(() => undefined)
  const { fleet, s3, database } = registry

  const killing = async () => {
    while (!signal.aborted) {
      await pause(1000, 5000)
      if (signal.aborted) return
      const victim = Math.floor(random() * replicas)
      await fleet.kill(victim)
      done.kills += 1
      await pause(0, 1000)
      await restartPatiently(victim)
    }
  }
  // It needs the database, which may be away.
  const restartPatiently = async (victim: number) => {
    for (let attempt = 0; ; attempt += 1)
      try {
        await fleet.restart(victim)
        return
      } catch (error) {
        if (attempt === 60) throw error
        await sleep(500)
      }
  }
  const failing = async () => {
    await pause(3000, 6000)
    while (!signal.aborted) {
      if (random() < 0.6) {
        await (random() < 0.5 ? database.stopServer() : database.kill())
        await pause(0, 2000)
        await database.startServer()
        done.databaseRestarts += 1
      } else {
        await s3.outage()
        await pause(200, 1500)
        await s3.recover()
        done.storeOutages += 1
      }
      await pause(5000, 12_000)
    }
  }
  s3.set(mix)
  try {
    await Promise.all([killing(), failing()])
  } finally {
    s3.set({})
  }
  return done
}
