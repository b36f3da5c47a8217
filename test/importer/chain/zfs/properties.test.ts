import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { LayerFacts } from '../../../../src/importer/chain/chain-store.ts'
import { formatFacts, parseFacts, parseListing } from '../../../../src/importer/chain/zfs/properties.ts'
import { type ChainId, parseChainId } from '../../../../src/storage/chain-id.ts'
import { hexOf, parseDiffId, parseDigest } from '../../../../src/storage/digest.ts'
import { layerOn } from '../../../support/fake-layers.ts'

const digestText = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map(bytes => `sha256:${Buffer.from(bytes).toString('hex')}`)

const anyFacts: fc.Arbitrary<LayerFacts> = fc.record(
  {
    diffId: digestText.map(parseDiffId),
    blob: digestText.map(parseDigest),
    parent: fc.option(digestText.map(parseChainId)),
    entries: fc.nat(),
    bytes: fc.maxSafeNat(),
    notes: fc.record(
      {
        whiteouts: fc.nat(),
        skippedDevices: fc.nat(),
        skippedFifos: fc.nat(),
        droppedXattrs: fc.nat(),
        warnings: fc.array(
          fc.record(
            {
              code: fc.constantFrom('device-skipped' as const, 'time-clamped' as const),
              count: fc.nat(),
              examples: fc.array(fc.string({ unit: 'grapheme', maxLength: 10 }), { maxLength: 1 }),
            },
            { noNullPrototype: true },
          ),
          { maxLength: 2 },
        ),
      },
      { noNullPrototype: true },
    ),
  },
  { noNullPrototype: true, requiredKeys: ['diffId', 'blob', 'parent', 'entries', 'bytes'] },
)

/** What `zfs get -Hp` prints for a snapshot that carries these facts. */
function listed(chain: ChainId, facts: LayerFacts, source = 'local', snapshot = hexOf(chain)) {
  const name = `tank/varve/chains/0123456789abcdef@${snapshot}`
  const lines = Object.entries(formatFacts(chain, facts)).map(pair => [name, ...pair, source].join('\t'))
  const [only] = parseListing(`${lines.join('\n')}\n`)
  assert.ok(only)
  return only
}

describe('properties of a pool', () => {
  it('carry every fact there and back', () => {
    fc.assert(
      fc.property(digestText.map(parseChainId), anyFacts, (chain, facts) => {
        const read = parseFacts(listed(chain, facts))
        assert.deepEqual(read?.facts, facts)
        assert.equal(read?.chain, chain)
      }),
    )
  })

  it('count only where they were set themselves', () => {
    fc.assert(
      fc.property(digestText.map(parseChainId), anyFacts, (chain, facts) => {
        for (const source of ['inherited from tank/varve', 'received', 'default', '-'])
          assert.equal(parseFacts(listed(chain, facts, source)), undefined)
        assert.equal(parseFacts(listed(chain, facts, 'local', 'renamed')), undefined)
      }),
    )
  })

  it('make no facts of what we did not write', () => {
    const name = `tank@${'a'.repeat(64)}`
    const whole = {
      'varve:chain-id': `sha256:${'a'.repeat(64)}`,
      'varve:diff-id': `sha256:${'b'.repeat(64)}`,
      'varve:blob': `sha256:${'c'.repeat(64)}`,
      'varve:parent': 'none',
      'varve:entries': '1',
      'varve:bytes': '2',
    }
    const parse = (properties: Record<string, string>) => {
      const [only] = parseListing(
        Object.entries(properties)
          .map(pair => [name, ...pair, 'local'].join('\t'))
          .join('\n'),
      )
      return only && parseFacts(only)
    }
    assert.ok(parse(whole))
    for (const property of Object.keys(whole))
      for (const wrong of ['', '-', 'sha256:x', '-1', '1e3', '99999999999999999'])
        assert.equal(parse({ ...whole, [property]: wrong }), undefined, `${property}=${wrong}`)
  })

  it('keep a snapshot whose notes cannot be read', () => {
    const { chain, facts } = layerOn(null, 'x')
    const lines = Object.entries({ ...formatFacts(chain, facts), 'varve:notes': '{"whiteouts":' })
    const name = `tank/varve/chains/0123456789abcdef@${hexOf(chain)}`
    const [listed] = parseListing(lines.map(pair => [name, ...pair, 'local'].join('\t')).join('\n'))
    const { notes: _, ...rest } = facts
    assert.deepEqual(listed && parseFacts(listed)?.facts, rest)
  })

  it('may hold tabs', () => {
    const [dataset] = parseListing('tank\tvarve:note\ta\tb\tlocal\ntank\torigin\t-\t-\nbroken\n\n')
    assert.equal(dataset?.get('varve:note'), 'a\tb')
    assert.equal(dataset?.local('varve:note'), 'a\tb')
    assert.equal(dataset?.get('origin'), undefined)
  })
})
