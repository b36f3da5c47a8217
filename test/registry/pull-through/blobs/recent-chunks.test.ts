import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { RecentChunks } from '../../../../src/registry/pull-through/blobs/recent-chunks.ts'

describe('RecentChunks', () => {
  it('keeps the last chunks, whole, and gives what is in them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 20 }),
        (maxBytes, chunks) => {
          const recent = new RecentChunks(maxBytes)
          let all: number[] = []
          for (const chunk of chunks) {
            const start = recent.startAfter(chunk.length)
            recent.push(chunk)
            all = [...all, ...chunk]
            if (chunk.length > 0) assert.equal(recent.start, start)
            assert.equal(recent.end, all.length)
            assert.ok(recent.end - recent.start <= Math.max(maxBytes, chunk.length, 30))
            for (let at = 0; at < all.length; at += 1) {
              const bytes = recent.at(at)
              if (at < recent.start) assert.equal(bytes, undefined)
              else assert.deepEqual([...(bytes ?? [])], all.slice(at, at + (bytes?.length ?? 1)))
            }
            assert.equal(recent.at(all.length), undefined)
          }
        },
      ),
    )
  })

  it('has nothing once it is cleared, and goes on after that', () => {
    const recent = new RecentChunks(100)
    recent.push(Buffer.from('abc'))
    recent.clear()
    assert.equal(recent.at(0), undefined)
    recent.push(Buffer.from('de'))
    assert.equal(String(recent.at(4)), 'e')
  })
})
