import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ImportEvent, LayerProgressEvent } from '../../../src/importer/import-service.ts'
import { LayersProgress } from '../../../src/importer/progress/layers-progress.ts'
import { bytesPerSecond, type Sample, withSample } from '../../../src/importer/progress/transfer-rate.ts'

function samplesOf(...samples: readonly Sample[]): readonly Sample[] {
  return samples.reduce<readonly Sample[]>(withSample, [])
}

describe('the rate of a transfer', () => {
  it('is what came in the last seconds', () => {
    assert.equal(bytesPerSecond([]), 0)
    assert.equal(bytesPerSecond(samplesOf({ at: 7, bytes: 5 })), 0)
    assert.equal(bytesPerSecond(samplesOf({ at: 1000, bytes: 0 }, { at: 3000, bytes: 500 })), 250)
    const fastOnce = samplesOf(
      { at: 0, bytes: 0 },
      { at: 1000, bytes: 1_000_000 },
      { at: 4000, bytes: 1_000_003 },
      { at: 9000, bytes: 1_000_008 },
    )
    assert.equal(bytesPerSecond(fastOnce), 1)
  })

  it('sinks when nothing comes for long', () => {
    const stalled = samplesOf({ at: 0, bytes: 0 }, { at: 1000, bytes: 1000 }, { at: 100_000, bytes: 1000 })
    assert.equal(bytesPerSecond(stalled), 0)
  })

  it('begins anew with a transfer that does', () => {
    const again = samplesOf({ at: 0, bytes: 0 }, { at: 1000, bytes: 9000 }, { at: 2000, bytes: 10 })
    assert.deepEqual(again, [{ at: 2000, bytes: 10 }])
  })

  it('is that of a steady transfer, whenever one looks, and needs few samples', () => {
    const gap = fc.integer({ min: 250, max: 20_000 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.array(gap, { minLength: 1 }), (perMs, gaps) => {
        let samples: readonly Sample[] = withSample([], { at: 0, bytes: 0 })
        for (const wait of gaps) {
          const at = (samples.at(-1)?.at ?? 0) + wait
          samples = withSample(samples, { at, bytes: at * perMs })
          assert.equal(bytesPerSecond(samples), perMs * 1000)
          assert.ok(samples.length <= 22, String(samples.length))
        }
      }),
    )
  })
})

describe('the progress of layers', () => {
  function recorded(sizes: readonly number[]): {
    readonly progress: LayersProgress
    readonly events: LayerProgressEvent[]
    readonly clock: { now: number }
  } {
    const events: LayerProgressEvent[] = []
    const clock = { now: 0 }
    const tell = (event: ImportEvent): void => {
      assert.equal(event.type, 'layer-progress')
      if (event.type === 'layer-progress') events.push(event)
    }
    return { progress: new LayersProgress(sizes, tell, () => clock.now), events, clock }
  }

  it('tells all there is to know of a layer, in each of its phases', () => {
    const { progress, events, clock } = recorded([50, 4000])
    progress.downloaded(1, 1000)
    clock.now = 1000
    progress.downloaded(1, 3000)
    progress.begun(1)
    clock.now = 1200
    progress.applied(1, { blobBytes: 2000, entries: 2, bytes: 33 })
    clock.now = 1500
    progress.applied(1, { blobBytes: 3500, entries: 3, bytes: 77 })
    clock.now = 2000
    progress.committing(1, { entries: 9, bytes: 99 })
    const layer = { type: 'layer-progress', layer: 1, size: 4000 } as const
    assert.deepEqual(events, [
      { ...layer, phase: 'download', blobBytes: 1000, entries: 0, bytes: 0, bytesPerSecond: 0 },
      { ...layer, phase: 'download', blobBytes: 3000, entries: 0, bytes: 0, bytesPerSecond: 2000 },
      { ...layer, phase: 'apply', blobBytes: 0, entries: 0, bytes: 0, bytesPerSecond: 0 },
      { ...layer, phase: 'apply', blobBytes: 3500, entries: 3, bytes: 77, bytesPerSecond: 7000 },
      { ...layer, phase: 'commit', blobBytes: 4000, entries: 9, bytes: 99, bytesPerSecond: 4000 },
    ])
  })

  it('tells of a layer four times a second at most, and of each phase once at least', () => {
    const work = fc.record({
      layer: fc.nat(2),
      phase: fc.constantFrom('downloaded', 'applied', 'committing'),
      wait: fc.nat(400),
    })
    fc.assert(
      fc.property(fc.array(work, { maxLength: 200 }), works => {
        const { progress, events, clock } = recorded([10, 10, 10])
        const told: { readonly at: number; readonly event: LayerProgressEvent }[] = []
        for (const { layer, phase, wait } of works) {
          clock.now += wait
          if (phase === 'downloaded') progress.downloaded(layer, 5)
          else progress[phase](layer, { blobBytes: 5, entries: 1, bytes: 1 })
          for (const event of events.splice(0)) told.push({ at: clock.now, event })
        }
        for (const layer of [0, 1, 2]) {
          const its = told.filter(({ event }) => event.layer === layer)
          for (const [index, { at, event }] of its.entries()) {
            const before = its[index - 1]
            if (before?.event.phase === event.phase) assert.ok(at - before.at >= 250)
          }
          assert.equal(
            its.length > 0,
            works.some(one => one.layer === layer),
          )
        }
      }),
    )
  })
})
