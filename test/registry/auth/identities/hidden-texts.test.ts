import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { HiddenTexts } from '../../../../src/registry/auth/identities/hidden-texts.ts'
import { basic } from '../../../support/known-identities.ts'

describe('Hidden texts', () => {
  it('are the same for the same text, and show nothing of it', () => {
    const hidden = new HiddenTexts()
    const header = basic('alice', 'correct horse')
    assert.equal(hidden.of(header), hidden.of(header))
    assert.notEqual(hidden.of(header), hidden.of(`${header} `))
    assert.equal(Buffer.from(hidden.of(header), 'base64').length, 32)
  })

  it('are others elsewhere, so that nobody can guess what they stand for', () => {
    assert.notEqual(new HiddenTexts().of('alice'), new HiddenTexts().of('alice'))
  })

  it('do not depend on the connection by which the text has come, nor on what came by it before', () => {
    const hidden = new HiddenTexts()
    const connections = [{}, {}, undefined]
    const text = fc.constantFrom(
      basic('alice', 'one'),
      basic('alice', 'two'),
      basic('bob', 'one'),
      '',
      'x'.repeat(5000),
    )
    const shown = fc.record({ text, at: fc.nat({ max: 2 }) })
    fc.assert(
      fc.property(fc.array(shown), all => {
        for (const each of all) assert.equal(hidden.of(each.text, connections[each.at]), hidden.of(each.text))
      }),
    )
  })
})
