import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { skipWithout } from '../../../support/programs.ts'
import { dir, fifo, file, hardlink, symlink, tar } from '../../../support/tar.ts'
import { createPool, type TestPool } from '../../../support/zfs.ts'

const skip = await skipWithout('zfs', 'setfattr')
const skipKernel = existsSync('/dev/zfs') ? 'OpenZFS has what zfs-fuse lacks' : false
const xattr = { pax: { 'SCHILY.xattr.user.x': '1' } }

describe('a layer in a dataset that lacks what it wants', { skip, timeout: 120_000 }, () => {
  let pool: TestPool | undefined
  before(async () => {
    pool = await createPool()
  })
  after(async () => {
    await pool?.destroy()
  })

  it('zfs-fuse has no extended attributes: they are counted and reported', { skip: skipKernel }, async () => {
    using sandbox = new LayerSandbox(pool?.mountpoint)
    const files = ['a', 'b', 'c', 'd'].map(name => file(name, '', xattr))
    const { droppedXattrs, warnings } = await sandbox.apply(tar(dir('e', xattr), ...files))
    assert.equal(droppedXattrs, 5)
    const examples = ['"a": "user.x"', '"b": "user.x"', '"c": "user.x"']
    assert.deepEqual(warnings, [{ code: 'xattr-unsupported', count: 5, examples }])
    // A directory that is described again has nothing to clear.
    assert.deepEqual((await sandbox.apply(tar(dir('e')))).warnings, [])
  })

  it('zfs-fuse has no time after 2038: the last one is set and reported', { skip: skipKernel }, async () => {
    using sandbox = new LayerSandbox(pool?.mountpoint)
    const mtime = 4_102_444_800
    const { warnings } = await sandbox.apply(
      tar(file('f', '', { mtime }), dir('d', { mtime }), symlink('l', 'f', { mtime }), fifo('p', { mtime })),
    )
    const examples = ['"f"', '"l"', '"p"']
    assert.deepEqual(warnings, [{ code: 'time-clamped', count: 4, examples }])
    for (const path of ['f', 'd', 'l', 'p'])
      assert.equal(sandbox.tree().get(path)?.mtime, (2n ** 31n - 1n) * 1_000_000_000n)
  })

  it('has FIFOs and hard links to them', async () => {
    using sandbox = new LayerSandbox(pool?.mountpoint)
    await sandbox.apply(tar(fifo('p', { mode: 0o600, uid: 1 }), hardlink('q', 'p')))
    const { type, uid, links } = sandbox.tree().get('p') ?? {}
    assert.deepEqual([type, uid, links], ['fifo', 1, ['p', 'q']])
  })
})
