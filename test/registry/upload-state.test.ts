import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createUploadStates } from '../../src/registry/upload-state.ts'
import { parseAccountName } from '../../src/storage/accounts/names.ts'
import { newUploadId } from '../../src/storage/blobs/upload-id.ts'

const secret = Buffer.from('a secret that replicas share')
const id = newUploadId()
const alice = parseAccountName('alice')
const bob = parseAccountName('bob')

describe('upload states', () => {
  it('tell the offset that was signed, on any replica', () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), offset => {
        const text = createUploadStates(secret).sign(id, offset, alice)
        assert.equal(createUploadStates(secret).verify(id, text, alice), offset)
      }),
    )
  })

  it('survive every writing of a query', () => {
    const text = createUploadStates(secret).sign(id, 1234, null)
    assert.equal(encodeURIComponent(text), text)
    assert.equal(new URLSearchParams({ a: 'b', _state: text }).get('_state'), text)
  })

  it('say nothing about another session, under another secret, changed or absent', () => {
    const states = createUploadStates(secret)
    const text = states.sign(id, 7, alice)
    assert.equal(states.verify(newUploadId(), text, alice), undefined)
    assert.equal(createUploadStates().verify(id, text, alice), undefined)
    assert.equal(states.verify(id, null, alice), undefined)
    const forged = Buffer.from(JSON.stringify({ id, offset: 8 })).toString('base64url')
    assert.equal(states.verify(id, `${forged}.${text.split('.')[1]}`, alice), undefined)
  })

  it('say nothing to another account than the one that they were given to', () => {
    const states = createUploadStates(secret)
    for (const [owner, others] of [
      [alice, [bob, null]],
      [null, [alice]],
    ] as const)
      for (const other of others) assert.equal(states.verify(id, states.sign(id, 7, owner), other), undefined)
    const nobodys = states.sign(id, 7, null)
    assert.equal(states.verify(id, nobodys, null), 7)
  })

  it('take any text without failing', () => {
    const states = createUploadStates(secret)
    fc.assert(fc.property(fc.string(), text => states.verify(id, text, alice) === undefined))
  })
})
