import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { jsonDepthOf } from '../../../src/storage/remote/json-depth.ts'

describe('jsonDepthOf', () => {
  for (const [text, depth] of [
    ['', 0],
    ['1', 0],
    ['{}', 1],
    ['{"a":[{}],"b":[]}', 3],
    [String.raw`["[[[\"[[\\", "]"]`, 1],
    ['['.repeat(5000), 5000],
  ] as const)
    it(`is ${depth} for ${text.slice(0, 20)}`, () => assert.equal(jsonDepthOf(Buffer.from(text)), depth))
})
