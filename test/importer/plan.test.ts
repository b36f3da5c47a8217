import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { planImport } from '../../src/importer/plan.ts'
import { chainIdsOf } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'
import type { ResolvedLayer } from '../../src/storage/remote/image-source.ts'

function layersOf(count: number): ResolvedLayer[] {
  const diffIds = Array.from({ length: count }, (_, index) =>
    parseDiffId(digestOf(Buffer.from(`layer ${index}`))),
  )
  return chainIdsOf(diffIds).flatMap((chainId, index) => {
    const diffId = diffIds[index]
    return diffId ? [{ chainId, diffId, descriptor: { mediaType: 'x', digest: diffId, size: 1 } }] : []
  })
}

describe('planImport', () => {
  it('continues after the longest chain that is there, for any number of layers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 130 }), fc.nat(), (count, seed) => {
        const layers = layersOf(count)
        const present = seed % (count + 1)
        const known = new Set(layers.slice(0, present).map(({ chainId }) => chainId))
        const { base, missing } = planImport(layers, chain => known.has(chain))
        assert.equal(base, layers[present - 1]?.chainId ?? null)
        assert.deepEqual(missing, layers.slice(present))
      }),
      { numRuns: 30 },
    )
  })

  it('needs no lower chain when a higher one is there', () => {
    const layers = layersOf(4)
    const { base, missing } = planImport(layers, chain => chain === layers[2]?.chainId)
    assert.equal(base, layers[2]?.chainId)
    assert.equal(missing.length, 1)
  })
})
