import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeText } from '../../../../src/importer/layer/byte-string.ts'
import { type Meaning, meaningOf } from '../../../../src/importer/layer/changeset/whiteouts.ts'

const path = (text: string) => text.split('/').map(encodeText)

const meanings: readonly (readonly [name: string, meaning: Meaning])[] = [
  ['etc/passwd', { kind: 'content' }],
  ['.wh', { kind: 'content' }],
  ['a.wh.b', { kind: 'content' }],
  ['.wh.a', { kind: 'whiteout', target: encodeText('a') }],
  ['etc/.wh.passwd', { kind: 'whiteout', target: encodeText('passwd') }],
  ['.wh....', { kind: 'whiteout', target: encodeText('...') }],
  ['.wh..opq', { kind: 'whiteout', target: encodeText('.opq') }],
  ['.wh..wh..opq', { kind: 'opaque' }],
  ['a/b/.wh..wh..opq', { kind: 'opaque' }],
  // `.wh.` in a directory's name is just a name (R6).
  ['.wh.dir/file', { kind: 'content' }],
  // AUFS leftovers (R7).
  ['.wh..wh.aufs', { kind: 'leftover' }],
  ['.wh..wh.orph', { kind: 'leftover' }],
  ['.wh..wh.plnk', { kind: 'leftover' }],
  ['.wh..wh.plnk/123.456', { kind: 'leftover' }],
]

describe('meaningOf', () => {
  for (const [name, meaning] of meanings)
    it(`${name} is ${meaning.kind}`, () => assert.deepEqual(meaningOf(path(name)), meaning))

  it('the root is content', () => assert.deepEqual(meaningOf([]), { kind: 'content' }))

  for (const name of [
    '.wh.',
    '.wh..',
    '.wh...',
    'etc/.wh.',
    'etc/.wh..',
    'etc/.wh...',
    '.wh..wh.',
    '.wh..wh..',
  ])
    it(`refuses ${name} (S-15)`, () =>
      assert.throws(() => meaningOf(path(name)), { code: 'invalid', message: /is not a whiteout/ }))

  it('refuses AUFS names below the top', () =>
    assert.throws(() => meaningOf(path('a/.wh..wh.plnk')), { code: 'invalid' }))
})
