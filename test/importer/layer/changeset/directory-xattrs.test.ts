import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { attributed, checkAttributed } from '../../../property/archives/attributed.ts'
import { Subject } from '../../../property/archives/subject.ts'
import { programsRunBy } from '../../../support/counted-programs.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { aclFor } from '../../../support/posix-acls.ts'
import { searchPath, skipWithout } from '../../../support/programs.ts'
import { startedFinisher } from '../../../support/started-finisher.ts'
import { dir, file, hardlink, opaque, symlink, type TarOptions, tar, whiteout } from '../../../support/tar.ts'
import { listXattrs, whyNoXattrs } from '../../../support/xattrs.ts'

const skip = (await skipWithout('setfattr', 'getfattr')) || (whyNoXattrs(tmpdir()) ?? false)

const having = (name: string, value: string | Uint8Array): TarOptions => ({
  pax: { [`SCHILY.xattr.${name}`]: value },
})
const capability = Buffer.from('0100000280000000000000000000000000000000', 'hex')
const kinds = {
  'a default ACL': having('system.posix_acl_default', aclFor(1)),
  'an access ACL': having('system.posix_acl_access', aclFor(1)),
  'an attribute of programs': having('user.a', '1'),
  'a capability': having('security.capability', capability),
} as const
const ordinary = tar(dir('d'), dir('e'), file('d/f', 'x'), hardlink('e/f', 'd/f'), symlink('l', 'd'))
const change = tar(dir('./'), dir('d'), file('d/g'), file('e/made/h'), whiteout('e/f'), opaque('d'))

describe('what is known of the extended attributes of directories', { skip, timeout: 120_000 }, () => {
  it('is none of an empty tree whose root has none, and then no layer starts a program', async () => {
    using sandbox = new LayerSandbox()
    const first = await programsRunBy(async () => {
      assert.equal((await sandbox.apply(ordinary)).directoryXattrs, 'none')
    })
    assert.deepEqual(first, ['getfattr'])
    const later = await programsRunBy(async () => {
      for (const layer of [change, tar(), ordinary])
        assert.equal((await sandbox.apply(layer, {}, {}, 'none')).directoryXattrs, 'none')
    })
    assert.deepEqual(later, [])
  })

  it('is none of an empty tree that the first layer leaves empty', async () => {
    using sandbox = new LayerSandbox()
    assert.equal((await sandbox.apply(tar())).directoryXattrs, 'none')
  })

  it('is nothing of a tree that was there when nothing was known of it', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(ordinary)
    assert.equal((await sandbox.apply(change)).directoryXattrs, undefined)
    assert.equal((await sandbox.apply(tar(opaque('.')))).directoryXattrs, undefined)
  })

  for (const [what, options] of Object.entries(kinds))
    it(`is nothing from the layer on that gives a directory ${what}`, async () => {
      for (const path of ['./', 'd', 'd/new']) {
        using sandbox = new LayerSandbox()
        await sandbox.apply(ordinary)
        const layers = [tar(dir(path, options)), tar(file('d/new/f'), dir('d/e')), tar(dir(path), file('x'))]
        let known: 'none' | undefined = 'none'
        for (const layer of layers) {
          const report = await sandbox.apply(layer, {}, {}, known)
          known = report.directoryXattrs
          assert.equal(known, undefined)
          assert.deepEqual([...listXattrs(sandbox.rootfs).keys()], layer === layers[2] ? [] : [shown(path)])
        }
      }
    })

  it('stays none where only files have attributes, and where policy drops those of directories', async () => {
    using sandbox = new LayerSandbox()
    const files = tar(
      file('f', '', kinds['an attribute of programs']),
      file('d/f', '', kinds['a capability']),
    )
    assert.equal((await sandbox.apply(files)).directoryXattrs, 'none')
    const layer = tar(dir('d', kinds['a default ACL']))
    const dropped = await sandbox.apply(layer, {}, { xattrs: 'drop' }, 'none')
    assert.equal(dropped.directoryXattrs, 'none')
    assert.deepEqual([...listXattrs(sandbox.rootfs).keys()].sort(), ['d/f', 'f'])
  })

  it('stays none where a directory that had one is gone before the layer ends', async () => {
    using sandbox = new LayerSandbox()
    const layer = tar(dir('d', kinds['a default ACL']), file('d/f'), file('d'))
    assert.equal((await sandbox.apply(layer)).directoryXattrs, 'none')
    assert.equal(listXattrs(sandbox.rootfs).size, 0)
  })

  it('is nothing where the root has inherited a default ACL', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'varve-acl-'))
    const value = `0x${aclFor(1).toString('hex')}`
    const args = ['-n', 'system.posix_acl_default', '-v', value, parent]
    execFileSync('setfattr', args, { env: { PATH: searchPath } })
    try {
      for (const layers of [
        [ordinary, tar(file('f'))],
        [tar(), ordinary],
      ]) {
        using sandbox = new LayerSandbox(parent)
        let known: 'none' | undefined
        for (const layer of layers) {
          const report = await sandbox.apply(layer, {}, {}, known)
          known = report.directoryXattrs
          assert.equal(known, undefined)
        }
        assert.deepEqual([...listXattrs(sandbox.rootfs).keys()], ['.'])
      }
    } finally {
      rmSync(parent, { recursive: true })
    }
  })

  it('changes no tree, whatever layers do with directories that have some', async () => {
    const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
    const parent = mkdtempSync(join(memory, 'varve-attributed-'))
    try {
      using subject = new Subject(parent, await startedFinisher())
      const property = fc.asyncProperty(attributed, layers => checkAttributed(layers, subject))
      await fc.assert(property, { numRuns: 100 })
    } finally {
      rmSync(parent, { recursive: true })
    }
  })
})

function shown(path: string): string {
  return path === './' ? '.' : path
}
