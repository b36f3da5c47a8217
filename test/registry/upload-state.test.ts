import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createUploadStates } from '../../src/registry/upload-state.ts'
import { newUploadId } from '../../src/storage/blobs/upload-id.ts'

const secret = Buffer.from('a secret that replicas share')
const id = newUploadId()

describe('upload states', () => {
  it('tell the offset that was signed, on any replica', () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), offset => {
        const text = createUploadStates(secret).sign(id, offset)
        assert.equal(createUploadStates(secret).verify(id, text), offset)
      }),
    )
  })

  it('survive every writing of a query', () => {
    const text = createUploadStates(secret).sign(id, 1234)
    assert.equal(encodeURIComponent(text), text)
    assert.equal(new URLSearchParams({ a: 'b', _state: text }).get('_state'), text)
  })

  it('say nothing about another session, under another secret, changed or absent', () => {
    const states = createUploadStates(secret)
    const text = states.sign(id, 7)
    assert.equal(states.verify(newUploadId(), text), undefined)
    assert.equal(createUploadStates().verify(id, text), undefined)
    assert.equal(states.verify(id, null), undefined)
    const forged = Buffer.from(JSON.stringify({ id, offset: 8 })).toString('base64url')
    assert.equal(states.verify(id, `${forged}.${text.split('.')[1]}`), undefined)
  })

  it('take any text without failing', () => {
    const states = createUploadStates(secret)
    fc.assert(fc.property(fc.string(), text => states.verify(id, text) === undefined))
  })
})
