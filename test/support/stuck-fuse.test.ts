import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mayBeStuckFuse } from './stuck-fuse.ts'

describe('failures that zfs-fuse may be blamed for', () => {
  const busy = "cannot mount 'tank/varve/chains/1': mountpoint or dataset is busy"

  it('knows a dataset that zfs-fuse believes to be in use for ever', () => {
    assert.ok(mayBeStuckFuse(busy, false))
  })

  it('knows the death of its daemon', () => {
    assert.ok(mayBeStuckFuse('Error: zfs-fuse died:\nassertion failed', false))
  })

  it('blames it for nothing else', () => {
    assert.ok(!mayBeStuckFuse("AssertionError: expected 'busy' to equal 'idle'", false))
  })

  it("excuses nothing on a kernel's ZFS", () => {
    assert.ok(!mayBeStuckFuse(busy, true))
  })
})
