import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { childrenFirst } from '../../../src/storage/adopt/manifest-order.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'

const digests = Array.from({ length: 30 }, (_, index) => digestOf(Buffer.from(String(index))))

describe('the order of indexes', () => {
  it('puts every index once, after its children', () => {
    // A child has a lower number, as a digest can only be named once it is known.
    const graphs = fc.array(fc.array(fc.nat(40), { maxLength: 6 }), { maxLength: digests.length })
    fc.assert(
      fc.property(graphs, graph => {
        const childrenOf = new Map<Digest, Digest[]>()
        for (const [index, numbers] of graph.entries()) {
          const children = numbers
            .map(number => digests[number % (index + 1)])
            .filter(child => child !== undefined)
          const digest = digests[index] ?? assert.fail()
          childrenOf.set(
            digest,
            children.filter(child => child !== digest),
          )
        }
        const reversed = new Map([...childrenOf].reverse())
        const order = childrenFirst(reversed)
        assert.deepEqual(new Set(order), new Set(childrenOf.keys()))
        assert.equal(order.length, childrenOf.size)
        for (const [parent, children] of childrenOf)
          for (const child of children)
            assert.ok(!childrenOf.has(child) || order.indexOf(child) < order.indexOf(parent))
      }),
    )
  })

  it('goes any depth', () => {
    const chain = Array.from({ length: 20_000 }, (_, index) => digestOf(Buffer.from(`chain ${index}`)))
    const childrenOf = new Map(chain.map((digest, index) => [digest, chain.slice(index + 1, index + 2)]))
    assert.deepEqual(childrenFirst(childrenOf), chain.toReversed())
  })
})
