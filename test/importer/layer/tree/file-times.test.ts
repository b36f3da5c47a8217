import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTime } from '../../../../src/importer/layer/tree/file-times.ts'

describe('setTime', () => {
  it('zfs-fuse-refuses-2100: sets the last time that a file system with 32-bit times has', () => {
    const set: number[] = []
    setTime(4_102_444_800, mtime => {
      if (mtime >= 2 ** 31) throw Object.assign(new Error('value too large'), { code: 'EOVERFLOW' })
      set.push(mtime)
    })
    assert.deepEqual(set, [2 ** 31 - 1])
  })

  it('hands on every other failure', () => {
    const failure = Object.assign(new Error('full'), { code: 'ENOSPC' })
    const fail = (): never => {
      throw failure
    }
    assert.throws(() => setTime(1, fail), failure)
  })
})
