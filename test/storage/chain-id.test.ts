import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { chainIdsOf, parseChainId } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'

const diffIdOf = (text: string) => parseDiffId(digestOf(Buffer.from(text)))
const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

describe('Chain IDs', () => {
  it('follow the definition: image-spec, config.md, "Layer ChainID"', () => {
    const [a, b, c] = [diffIdOf('a'), diffIdOf('b'), diffIdOf('c')]
    const ab = sha256(`${a} ${b}`)
    assert.deepEqual(chainIdsOf([a, b, c]), [a, ab, sha256(`${ab} ${c}`)])
    assert.deepEqual(chainIdsOf([]), [])
  })

  it('of two layers, computed with sha256sum', () => {
    const diffIds = [
      'sha256:c6f988f4874bb0add23a778f753c65efe992244e148a1d2ec2a8b664fb66bbd1',
      'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
    ].map(parseDiffId)
    assert.equal(
      chainIdsOf(diffIds)[1],
      'sha256:c3191d32a37d7159b2e30830937d2e30268ad6c375a773a8994911a3aba9b93f',
    )
  })

  it('are the same for what is below the same, and differ in the order of layers', () => {
    const texts = fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(texts, fc.string(), (layers, extra) => {
        const diffIds = layers.map(diffIdOf)
        const chain = chainIdsOf(diffIds)
        assert.deepEqual(chainIdsOf([...diffIds, diffIdOf(extra)]).slice(0, -1), chain)
        assert.notEqual(chainIdsOf(diffIds.toReversed()).at(-1), chain.at(-1))
      }),
    )
  })

  it('are parsed like digests', () => {
    assert.equal(parseChainId(sha256('x')), sha256('x'))
    assert.throws(() => parseChainId('x'), { code: 'invalid' })
  })
})
