import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { skipWithout } from '../../../support/programs.ts'
import { dir, fifo, file, hardlink, symlink, tar } from '../../../support/tar.ts'
import { listXattrs } from '../../../support/xattrs.ts'
import { createPool, type TestPool, zfs } from '../../../support/zfs.ts'

const skip = await skipWithout('zfs', 'setfattr', 'getfattr')
/** OpenZFS has what zfs-fuse lacks; each is asked for its own. */
const isOpenZfs = existsSync('/dev/zfs')
const xattr = { pax: { 'SCHILY.xattr.user.x': '1' } }
const capName = 'security.capability'
/** cap_net_bind_service=ep, as the kernel stores it. */
const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
const aclName = 'system.posix_acl_access'
/** u::rw- u:1:r-- g::r-- m::r-- o::r--, as the kernel stores it. */
const acl = Buffer.from(
  [
    '02000000',
    '01000600ffffffff',
    '0200040001000000',
    '04000400ffffffff',
    '10000400ffffffff',
    '20000400ffffffff',
  ].join(''),
  'hex',
)

describe('what a dataset keeps of a layer', { skip, timeout: 120_000 }, () => {
  let pool: TestPool | undefined
  before(async () => {
    pool = await createPool()
  })
  after(async () => {
    await pool?.destroy()
  })

  if (isOpenZfs) openZfsTests()
  else zfsFuseTests()

  it('has FIFOs and hard links to them', async () => {
    using sandbox = new LayerSandbox(pool?.mountpoint)
    await sandbox.apply(tar(fifo('p', { mode: 0o600, uid: 1 }), hardlink('q', 'p')))
    const { type, uid, links } = sandbox.tree().get('p') ?? {}
    assert.deepEqual([type, uid, links], ['fifo', 1, ['p', 'q']])
  })

  function zfsFuseTests(): void {
    it('zfs-fuse has no extended attributes: they are counted and reported', async () => {
      using sandbox = new LayerSandbox(pool?.mountpoint)
      const files = ['a', 'b', 'c', 'd'].map(name => file(name, '', xattr))
      const { droppedXattrs, warnings } = await sandbox.apply(tar(dir('e', xattr), ...files))
      assert.equal(droppedXattrs, 5)
      const examples = ['"a": "user.x"', '"b": "user.x"', '"c": "user.x"']
      assert.deepEqual(warnings, [{ code: 'xattr-unsupported', count: 5, examples }])
      // A directory that is described again has nothing to clear.
      assert.deepEqual((await sandbox.apply(tar(dir('e')))).warnings, [])
    })

    it('zfs-fuse has no time after 2038: the last one is set and reported', async () => {
      using sandbox = new LayerSandbox(pool?.mountpoint)
      const mtime = 4_102_444_800
      const { warnings } = await sandbox.apply(
        tar(
          file('f', '', { mtime }),
          dir('d', { mtime }),
          symlink('l', 'f', { mtime }),
          fifo('p', { mtime }),
        ),
      )
      const examples = ['"f"', '"l"', '"p"']
      assert.deepEqual(warnings, [{ code: 'time-clamped', count: 4, examples }])
      for (const path of ['f', 'd', 'l', 'p'])
        assert.equal(sandbox.tree().get(path)?.mtime, (2n ** 31n - 1n) * 1_000_000_000n)
    })
  }

  function openZfsTests(): void {
    it('OpenZFS keeps extended attributes, capabilities, and ACLs where it is told to have them', async () => {
      const dataset = `${pool?.name ?? ''}/acls`
      // As the datasets of a store are made.
      await zfs('create', '-o', 'xattr=sa', '-o', 'acltype=posixacl', dataset)
      using sandbox = new LayerSandbox(join(pool?.mountpoint ?? '', 'acls'))
      const all = { ...xattr.pax, [`SCHILY.xattr.${aclName}`]: acl, [`SCHILY.xattr.${capName}`]: capability }
      const { droppedXattrs, warnings } = await sandbox.apply(
        tar(dir('d', xattr), file('f', '', { pax: all })),
      )
      assert.deepEqual([droppedXattrs, warnings], [0, []])
      const found = listXattrs(sandbox.rootfs)
      assert.deepEqual(found.get('d'), ['user.x=0x31'])
      assert.deepEqual(found.get('f'), [
        `${capName}=0x${capability.toString('hex')}`,
        `${aclName}=0x${acl.toString('hex')}`,
        'user.x=0x31',
      ])
    })

    it('OpenZFS keeps times after 2038', async () => {
      using sandbox = new LayerSandbox(pool?.mountpoint)
      const late = { mtime: 4_102_444_800 }
      const { warnings } = await sandbox.apply(
        tar(file('f', '', late), dir('d', late), symlink('l', 'f', late), fifo('p', late)),
      )
      assert.deepEqual(warnings, [])
      for (const path of ['f', 'd', 'l', 'p'])
        assert.equal(sandbox.tree().get(path)?.mtime, BigInt(late.mtime) * 1_000_000_000n)
    })
  }
})
