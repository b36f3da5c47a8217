import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MirrorTraffic } from '../../../src/registry/mirror/mirror-traffic.ts'
import { newMirrorRunId } from '../../../src/registry/mirror/job-name.ts'
import { RunRecorder } from '../../../src/registry/mirror/run-recorder.ts'
import type { MirrorResult, MirrorTotals } from '../../../src/storage/metadata/mirror-records.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { MemoryMirrorRecords } from '../../support/mirror-run.ts'

const at = new Date()
const result = (outcome: MirrorResult['outcome'], tag: string): MirrorResult => ({
  source: 'upstream.example/acme/web',
  target: 'acme/web',
  tag: parseTag(tag),
  outcome,
  digest: null,
  reason: 'It is so.',
  bytes: 0,
  at,
})

function recorded(kept?: number) {
  const records = new MemoryMirrorRecords()
  const told: MirrorTotals[] = []
  const recorder = new RunRecorder(
    {
      run: newMirrorRunId(at),
      records,
      traffic: new MirrorTraffic(),
      progress: { totals: totals => told.push(totals) },
    },
    kept,
  )
  return { records, told, recorder }
}

describe('What a run of a mirror job records', () => {
  it('is what it has copied, and so many of those skipped and failed; all are counted', async () => {
    const { records, recorder } = recorded(3)
    for (let index = 0; index < 5; index += 1) {
      await recorder.add(result('skipped', `s${index}`), {})
      await recorder.add(result('failed', `f${index}`), {})
    }
    for (let index = 0; index < 4; index += 1) await recorder.add(result('copied', `c${index}`), {})
    await recorder.write({})
    assert.deepEqual(records.takeOutcomes(), [
      ...[0, 1, 2, 3].map(index => `c${index} copied`),
      ...[0, 1, 2].map(index => `f${index} failed`),
      ...[0, 1, 2].map(index => `s${index} skipped`),
    ])
    assert.deepEqual([recorder.totals.skipped, recorder.totals.failed], [5, 5])
  })

  it('is not written again and again while it waits', async () => {
    const { records, told, recorder } = recorded()
    await recorder.save({})
    recorder.paused = { resumeAt: at, reason: 'It waits.' }
    for (let times = 0; times < 3; times += 1) await recorder.save({})
    recorder.paused = undefined
    await recorder.save({})
    assert.deepEqual(
      records.saved.map(({ resumeAt }) => resumeAt),
      [undefined, at, undefined],
    )
    assert.equal(told.length, 3)
  })

  it('is written again where it could not be', async () => {
    const { records, recorder } = recorded()
    records.saveMirrorRun = async () => {
      throw new Error('away')
    }
    await assert.rejects(recorder.save({}), /away/)
    Reflect.deleteProperty(records, 'saveMirrorRun')
    await recorder.save({})
    assert.equal(records.saved.length, 1)
  })
})
