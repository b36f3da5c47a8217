import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { hopIdOf, hopsIn, maxHops, newHopId, viaOf } from '../../../src/storage/remote/hops.ts'

const hop = (index: number) => hopIdOf(`varve-${index.toString(16).padStart(16, '0')}`)

describe('the registries that a request came by', () => {
  it('are told in their order, and are read as they were told', () => {
    const hops = [hop(1), hop(2), hop(1)]
    assert.equal(
      viaOf(hops),
      '1.1 varve-0000000000000001, 1.1 varve-0000000000000002, 1.1 varve-0000000000000001',
    )
    assert.deepEqual(hopsIn(viaOf(hops)), hops)
    assert.deepEqual(hopsIn(undefined), [])
    assert.match(newHopId(), /^varve-[0-9a-f]{16}$/)
    assert.throws(() => hopIdOf('varve-1'))
  })

  it('are found among proxies, and in other writings', () => {
    const id = 'varve-00000000000000ab'
    for (const via of [
      `1.0 fred, 1.1 ${id} (Varve 1), 1.1 p.example.net`,
      `HTTP/1.1 ${id.toUpperCase()}`,
      `2 ${id}`,
    ])
      assert.deepEqual(hopsIn(via), [id], via)
    for (const via of [
      '',
      ',,',
      id,
      `1.1 ${id}0`,
      `1.1 x${id}`,
      `1.1  ${id}`,
      `1.1 ${id}:5000`,
      '(',
      '1.1 varve-',
    ])
      assert.deepEqual(hopsIn(via), [], via)
  })

  it('are never more than one too many', () => {
    const via = viaOf(Array.from({ length: 500 }, (_, index) => hop(index)))
    assert.equal(hopsIn(via).length, maxHops + 1)
  })

  it('are read from anything without a failure', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), via => {
        assert.ok(hopsIn(via).length <= maxHops + 1)
      }),
    )
  })
})
