import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { asByteString } from '../../../../src/importer/layer/byte-string.ts'
import { isAllowedXattr, refusalOf } from '../../../../src/importer/layer/changeset/xattr-rules.ts'

describe('isAllowedXattr', () => {
  for (const [name, isAllowed] of [
    ['user.overlay.origin', true],
    ['security.capability', true],
    ['system.posix_acl_access', true],
    ['system.posix_acl_default', true],
    ['security.capability2', false],
    ['security.selinux', false],
    ['trusted.overlay.opaque', false],
    ['system.nfs4_acl', false],
    ['user', false],
    ['user.\xff', false],
  ] as const)
    it(`${JSON.stringify(name)}: ${isAllowed}`, () =>
      assert.equal(isAllowedXattr(asByteString(name)), isAllowed))
})

describe('refusalOf', () => {
  it('takes ENOSPC for the size of the attribute only when there is space', () => {
    assert.equal(refusalOf('ENOSPC', true), 'refused')
    assert.equal(refusalOf('ENOSPC', false), undefined)
  })

  it('tells a namespace that is not there from one attribute, and failures from both', () => {
    assert.equal(refusalOf('ENOTSUP', false), 'absent')
    assert.equal(refusalOf('E2BIG', false), 'refused')
    assert.equal(refusalOf('EACCES', true), 'refused')
    for (const errno of ['EIO', 'EROFS', 'EDQUOT', 'ENOENT', 'ENXIO'])
      assert.equal(refusalOf(errno, true), undefined)
  })
})
