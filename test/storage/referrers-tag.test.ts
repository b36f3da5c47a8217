import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf, hexOf } from '../../src/storage/digest.ts'
import { referrersTagOf } from '../../src/storage/referrers-tag.ts'

describe('The tag in the place of the referrers API', () => {
  it('has the digest, and no more than 64 digits of it', () => {
    const [short, long] = [digestOf(Buffer.from('x'), 'sha256'), digestOf(Buffer.from('x'), 'sha512')]
    assert.equal(referrersTagOf(short), `sha256-${hexOf(short)}`)
    assert.equal(referrersTagOf(long), `sha512-${hexOf(long).slice(0, 64)}`)
  })
})
