import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  adoptedNameOf,
  adoptedObjectKey,
  backupKey,
  backupKeyParts,
  isListed,
  isObjectKey,
  newBackupId,
  newObjectKey,
  parseBackupId,
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

  it('of backups are in the order of their time, and are no keys of blobs', () => {
    const early = newBackupId(new Date('2030-01-31T11:59:59.999Z'))
    const late = newBackupId(new Date('2030-01-31T12:00:00Z'))
    assert.match(early, /^20300131t115959x[0-9a-f]{12}$/)
    assert.ok(early < late)
    assert.equal(parseBackupId(early), early)
    for (const part of ['data', 'record'] as const) {
      const key = backupKey(early, part)
      assert.deepEqual(backupKeyParts(key), { id: early, part })
      assert.equal(isObjectKey(key), false)
      assert.deepEqual(
        [isListed(key, ''), isListed(key, 'blobs/'), isListed(key, 'backups/')],
        [false, false, true],
      )
    }
    assert.equal(isListed(newObjectKey(), 'backups/'), false)
    for (const text of ['', '..', '../x', `${early}/data`, early.toUpperCase(), `${early}0`])
      assert.throws(() => parseBackupId(text), /is not the ID of a backup/)
  })
})
