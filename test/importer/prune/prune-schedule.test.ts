import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PruneReport } from '../../../src/importer/import-service.ts'
import { PruneSchedule } from '../../../src/importer/prune/prune-schedule.ts'
import type { Abortable } from '../../../src/storage/abortable.ts'
import { imageRecord } from '../../support/image-records.ts'

const nothing: PruneReport = {
  removed: [],
  kept: [],
  orphanedChains: 0,
  usedBytesBefore: 9,
  usedBytesAfter: 9,
}
const request = { unusedSeconds: 60 }

/** Of what is logged, level and message. */
function recordingLog() {
  const lines: string[] = []
  const write =
    (level: string) =>
    (fields: object, message?: string): void => {
      lines.push(`${level} ${message ?? ''} ${JSON.stringify(fields)}`)
    }
  return { lines, log: { info: write('info'), error: write('error') } }
}

describe('PruneSchedule', () => {
  it('prunes again and again, never two at once, and goes on after a failure', async () => {
    const { lines, log } = recordingLog()
    const done = Promise.withResolvers<void>()
    let calls = 0
    let running = 0
    const service = {
      async prune(): Promise<PruneReport> {
        calls += 1
        assert.equal(++running, 1)
        await new Promise(resolve => setImmediate(resolve))
        running -= 1
        if (calls === 5) done.resolve()
        if (calls === 2) throw new Error('the pool is away')
        return nothing
      },
    }
    {
      await using _schedule = new PruneSchedule({ service, request, everyMs: 1, log })
      await done.promise
    }
    const atTheEnd = calls
    await new Promise(resolve => setTimeout(resolve, 20))
    assert.equal(calls, atTheEnd)
    assert.deepEqual(lines, ['error images could not be pruned {"error":{}}'])
  })

  it('logs what it did', async () => {
    const { lines, log } = recordingLog()
    const { names, manifestDigest } = imageRecord('x/a:1', [])
    const removed = [{ names, manifestDigest, lastUsedAt: new Date(), removedChains: 2 }]
    const kept = [{ image: 'x/b:1', reason: 'it is busy' }]
    const again = Promise.withResolvers<void>()
    let calls = 0
    const service = {
      async prune(): Promise<PruneReport> {
        if (++calls === 2) again.resolve()
        return calls === 1 ? { ...nothing, removed, kept, usedBytesAfter: 4 } : nothing
      },
    }
    {
      await using _schedule = new PruneSchedule({ service, request, everyMs: 1, log })
      await again.promise
    }
    assert.deepEqual(lines, [
      'info images pruned {"removed":["x/a:1"],"kept":1,"orphanedChains":0,"usedBytesBefore":9,"usedBytesAfter":4}',
      'info image not pruned {"image":"x/b:1","reason":"it is busy"}',
    ])
  })

  it('ends a prune that is running, and says nothing of it', async () => {
    const { lines, log } = recordingLog()
    const begun = Promise.withResolvers<void>()
    const service = {
      prune(_request: object, { signal }: Abortable = {}): Promise<PruneReport> {
        begun.resolve()
        return new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        })
      },
    }
    {
      await using _schedule = new PruneSchedule({ service, request, everyMs: 1, log })
      await begun.promise
    }
    assert.deepEqual(lines, [])
  })

  it('ends at once while it waits', async () => {
    const service = { prune: () => assert.fail('pruned') }
    const { log } = recordingLog()
    await using _schedule = new PruneSchedule({
      service,
      request,
      everyMs: 3_600_000,
      log,
      random: () => 0.5,
    })
  })
})
