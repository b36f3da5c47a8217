import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
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
})
