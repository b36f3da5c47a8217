import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CheckOutcome } from '../../../src/registry/scrub/check-blob.ts'
import { Suspects } from '../../../src/registry/scrub/suspects.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import type { StoredBlob } from '../../../src/storage/metadata/blob-records.ts'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'

const blobOf = (text: string): StoredBlob => ({
  digest: digestOf(Buffer.from(text)),
  size: text.length,
  objectKey: newObjectKey(),
})

describe('Blobs that turned out wrong when they were read', () => {
  it('are looked at once each, one after the other, and again only after a while', async () => {
    let atOnce = 0
    const seen: Digest[] = []
    const outcomes: CheckOutcome[] = []
    const failures: unknown[] = []
    const all = Promise.withResolvers<void>()
    await using suspects = new Suspects({
      check: async ({ digest }) => {
        atOnce += 1
        assert.equal(atOnce, 1)
        await new Promise(resolve => setImmediate(resolve))
        atOnce -= 1
        seen.push(digest)
        if (seen.length === 4) all.resolve()
        if (seen.length === 2) throw new Error('away')
        return 'corrupt'
      },
      onChecked: (_, outcome) => outcomes.push(outcome),
      onFailure: error => failures.push(error),
      restMs: 1_000_000,
    })
    const blobs = ['a', 'b', 'c', 'd'].map(blobOf)
    for (const blob of [...blobs, ...blobs]) suspects.suspect(blob)
    await all.promise
    await new Promise(resolve => setImmediate(resolve))
    for (const blob of blobs) suspects.suspect(blob)
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(
      seen,
      blobs.map(({ digest }) => digest),
    )
    assert.deepEqual([outcomes.length, failures.length], [3, 1])
  })

  it('are not more than can be waited for, and nobody is waited for at the end', async () => {
    let checks = 0
    const suspects = new Suspects({
      check: (_, signal) => {
        checks += 1
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
        })
      },
      onChecked: () => assert.fail('nothing ends'),
      onFailure: () => assert.fail('a stop is no failure'),
      restMs: 0,
    })
    for (let index = 0; index < 1000; index++) suspects.suspect(blobOf(String(index)))
    await suspects[Symbol.asyncDispose]()
    assert.equal(checks, 1)
    suspects.suspect(blobOf('late'))
    assert.equal(checks, 1)
  })
})
