import assert from 'node:assert/strict'
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { leaveBehind } from '../../../../src/importer/layer/engine/chunk-garbage.ts'

const mebibyte = 1024 * 1024

describe('Chunks that were handed on', () => {
  it('are collected, the young ones alone, once for every eight mebibytes', async () => {
    const forced: unknown[] = []
    const observer = new PerformanceObserver(list => {
      for (const { detail } of list.getEntries() as (PerformanceEntry & { detail: GcDetail })[])
        if ((detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) forced.push(detail.kind)
    })
    observer.observe({ entryTypes: ['gc'] })
    const collectionsOf = async (bytes: number): Promise<number> => {
      forced.length = 0
      leaveBehind(bytes)
      await sleep(100)
      return forced.length
    }
    assert.equal(await collectionsOf(8 * mebibyte - 1), 0)
    assert.equal(await collectionsOf(1), 1)
    assert.deepEqual(forced, [constants.NODE_PERFORMANCE_GC_MINOR])
    assert.equal(await collectionsOf(4 * mebibyte), 0)
    assert.equal(await collectionsOf(4 * mebibyte), 1)
    observer.disconnect()
  })
})

interface GcDetail {
  readonly kind: number
  readonly flags: number
}
