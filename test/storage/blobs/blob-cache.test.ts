import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { BlobCache, maxCachedBlobBytes } from '../../../src/storage/blobs/blob-cache.ts'
import { digestOf } from '../../../src/storage/digest.ts'

describe('BlobCache', () => {
  it('never takes more than its limit, and gives what it was given', () => {
    const sizes = fc.array(fc.tuple(fc.nat(40), fc.nat(maxCachedBlobBytes)), { maxLength: 60 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300_000 }), sizes, (limit, steps) => {
        const cache = new BlobCache(limit)
        for (const [which, size] of steps) {
          const digest = digestOf(Buffer.from(`${which}`))
          const found = cache.find(digest)
          if (found !== undefined) assert.equal(found[0], which)
          else if (size > 0 && cache.takes(size)) cache.keep(digest, Buffer.alloc(size, which))
          assert.ok(cache.usedBytes <= limit)
        }
        assert.equal(cache.hits + cache.misses, steps.length)
      }),
      { numRuns: 100 },
    )
  })

  it('takes what is small, and nothing that it has no room for', () => {
    const large = new BlobCache(1024 * 1024)
    assert.deepEqual(
      [0, 1, 65_536, 65_537].map(size => large.takes(size)),
      [true, true, true, false],
    )
    const small = new BlobCache(1000)
    assert.deepEqual(
      [0, 400, 1000].map(size => small.takes(size)),
      [true, true, false],
    )
  })

  it('lets go of what was not asked for the longest', () => {
    const cache = new BlobCache(3 * 1024)
    const [one, two, three] = [randomBytes(900), randomBytes(900), randomBytes(900)]
    cache.keep(digestOf(one), one)
    cache.keep(digestOf(two), two)
    assert.equal(cache.find(digestOf(one)), one)
    cache.keep(digestOf(three), three)
    assert.equal(cache.find(digestOf(one)), one)
    assert.equal(cache.find(digestOf(two)), undefined)
  })
})
