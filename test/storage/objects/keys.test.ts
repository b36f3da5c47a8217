import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  adoptedNameOf,
  adoptedObjectKey,
  isObjectKey,
  newObjectKey,
} from '../../../src/storage/objects/keys.ts'

describe('object keys', () => {
  it('of our own are no adopted ones, nor the other way round', () => {
    const own = newObjectKey()
    assert.equal(isObjectKey(own), true)
    assert.equal(adoptedNameOf(own), undefined)
    assert.equal(isObjectKey(adoptedObjectKey(own) ?? ''), false)
  })

  it('of adopted objects hold the whole name', () => {
    fc.assert(
      fc.property(fc.string(), name => {
        const key = adoptedObjectKey(name)
        if (key !== undefined) assert.equal(adoptedNameOf(key), name)
      }),
    )
    assert.equal(
      adoptedNameOf(adoptedObjectKey('Old registry/docker/v2/x') ?? ''),
      'Old registry/docker/v2/x',
    )
  })

  it('lead nowhere else as a path', () => {
    for (const name of ['', '/', 'a//b', '../a', 'a/..', 'a/./b', 'a/', '/a', 'a\nb', 'a\0'])
      assert.equal(adoptedObjectKey(name), undefined, JSON.stringify(name))
  })
})
