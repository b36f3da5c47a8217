import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDomainError } from '../../src/errors.ts'
import { chunkRangeOf } from '../../src/registry/chunk-range.ts'

describe('chunkRangeOf', () => {
  it('is silent about a streamed body', () => {
    assert.deepEqual(chunkRangeOf({ 'transfer-encoding': 'chunked' }), { length: undefined })
  })

  it('takes the length of a body without range', () => {
    assert.deepEqual(chunkRangeOf({ 'content-length': '7' }), { length: 7 })
  })

  it('takes a range with and without Content-Length', () => {
    const wanted = { at: 10, length: 10 }
    assert.deepEqual(chunkRangeOf({ 'content-range': '10-19', 'content-length': '10' }), wanted)
    assert.deepEqual(chunkRangeOf({ 'content-range': '10-19', 'transfer-encoding': 'chunked' }), wanted)
  })

  it('ignores the range of an empty body', () => {
    assert.deepEqual(chunkRangeOf({ 'content-range': '10-10', 'content-length': '0' }), { length: 0 })
  })

  for (const [range, length, code] of [
    ['bytes 0-9/10', '10', 'invalid'],
    ['0-', '10', 'invalid'],
    ['-9', '10', 'invalid'],
    ['9-0', '10', 'out_of_range'],
    ['0-9', '9', 'size_mismatch'],
    ['0-9', '11', 'size_mismatch'],
  ] as const)
    it(`refuses ${range} with ${length} bytes: ${code}`, () => {
      assert.throws(
        () => chunkRangeOf({ 'content-range': range, 'content-length': length }),
        error => isDomainError(error, code),
      )
    })
})
