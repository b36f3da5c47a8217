import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  isSecretOf,
  looksLikeAccountToken,
  makeAccountToken,
  parseAccountToken,
} from '../../../../src/registry/auth/identities/account-token.ts'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-. é'

describe('Tokens of accounts', () => {
  it('are a prefix, an id and a secret, in characters that one double click takes', () => {
    assert.match(makeAccountToken('token').text, /^vrv_[a-z0-9]{16}_[0-9A-Za-z]{49}$/)
    assert.match(makeAccountToken('refresh').text, /^vrr_[a-z0-9]{16}_[0-9A-Za-z]{49}$/)
  })

  it('are read again as they were made, and no two are the same', () => {
    const made = Array.from({ length: 200 }, (_, index) =>
      makeAccountToken(index % 2 === 0 ? 'token' : 'refresh'),
    )
    for (const [index, { id, text, secretDigest }] of made.entries()) {
      const token = parseAccountToken(text)
      assert.ok(token !== undefined)
      assert.equal(token.id, id)
      assert.equal(token.kind, index % 2 === 0 ? 'token' : 'refresh')
      assert.ok(isSecretOf(token, secretDigest))
      assert.match(secretDigest, /^[0-9a-f]{64}$/)
      assert.ok(!text.includes(secretDigest))
    }
    assert.equal(new Set(made.map(({ id }) => id)).size, made.length)
    assert.equal(new Set(made.map(({ secretDigest }) => secretDigest)).size, made.length)
  })

  it('with one wrong, missing or additional character are none', () => {
    const { text } = makeAccountToken('token')
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...Array.from(alphabet)), (at, character) => {
        const wrong = text.slice(0, at) + character + text.slice(at + 1)
        assert.equal(parseAccountToken(wrong) === undefined, wrong !== text)
        assert.equal(parseAccountToken(text.slice(0, at) + text.slice(at + 1)), undefined)
        assert.equal(parseAccountToken(text.slice(0, at) + character + text.slice(at)), undefined)
      }),
    )
    for (const wrong of ['', 'vrv_', `${text}\n`, ` ${text}`, text.toUpperCase()])
      assert.equal(parseAccountToken(wrong), undefined)
  })

  it("do not fit another token's digest, nor what is no digest", () => {
    const [one, other] = [makeAccountToken('token'), makeAccountToken('token')]
    const token = parseAccountToken(one.text)
    assert.ok(token !== undefined)
    assert.ok(!isSecretOf(token, other.secretDigest))
    for (const digest of ['', 'zz', one.secretDigest.slice(2), `${one.secretDigest}00`])
      assert.ok(!isSecretOf(token, digest))
  })

  it('are known for what they are meant to be', () => {
    for (const text of ['vrv_', 'vrr_x', makeAccountToken('token').text])
      assert.ok(looksLikeAccountToken(text))
    for (const text of ['', 'vrv', 'VRV_x', ' vrv_x', 'correct horse'])
      assert.ok(!looksLikeAccountToken(text))
  })
})
