import assert from 'node:assert/strict'
import { linkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { programsRunBy } from '../../../support/counted-programs.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { aclFor } from '../../../support/posix-acls.ts'
import { skipWithout } from '../../../support/programs.ts'
import {
  characterDevice,
  dir,
  fifo,
  file,
  hardlink,
  oldSparse,
  opaque,
  symlink,
  type TarOptions,
  tar,
  whiteout,
} from '../../../support/tar.ts'
import { listTree, type Tree } from '../../../support/tree.ts'
import { whyNoXattrs } from '../../../support/xattrs.ts'

const skip = (await skipWithout('setfattr', 'getfattr')) || (whyNoXattrs(tmpdir()) ?? false)

const shown = (name: 'access' | 'default', acl: Uint8Array): string =>
  `system.posix_acl_${name}=0x${Buffer.from(acl).toString('hex')}`

function having(acls: { readonly access?: Uint8Array; readonly default?: Uint8Array }): TarOptions {
  const records = Object.entries(acls).map(([name, acl]) => [`SCHILY.xattr.system.posix_acl_${name}`, acl])
  return { pax: Object.fromEntries(records) as Record<string, Uint8Array> }
}

const lowerAcl = aclFor(1)
const handsDown = having({ default: lowerAcl })

function treeOf(sandbox: LayerSandbox): Tree {
  return listTree(sandbox.rootfs, { xattrs: true })
}

function aclsOf(sandbox: LayerSandbox): Record<string, readonly string[]> {
  const having = [...treeOf(sandbox)].filter(([, { xattrs }]) => xattrs.length > 0)
  return Object.fromEntries(having.map(([path, { xattrs }]) => [path, xattrs]))
}

const d = [shown('default', lowerAcl)]
const odd = { mtime: 1_234_567_890, uid: 7, gid: 8 } as const

describe('what an upper layer makes below a default ACL of a lower layer inherits nothing', {
  skip,
  timeout: 120_000,
}, () => {
  const sandboxes: LayerSandbox[] = []
  after(() => {
    for (const sandbox of sandboxes) sandbox[Symbol.dispose]()
  })
  async function lowered(...more: readonly Uint8Array[]): Promise<LayerSandbox> {
    const sandbox = new LayerSandbox()
    sandboxes.push(sandbox)
    await sandbox.apply(tar(dir('d', handsDown), ...more))
    return sandbox
  }

  it('files, directories and all below, symlinks, FIFOs, sparse files, devices as files', async () => {
    const sandbox = await lowered(file('d/lower'))
    const layer = tar(
      dir('./'),
      file('d/f', 'x', { ...odd, mode: 0o666 }),
      file('d/suid', 'x', { ...odd, mode: 0o6755 }),
      file(Buffer.from('d/\xff\n\\=', 'latin1'), 'x', { ...odd, mode: 0o604 }),
      dir('d/e', { ...odd, mode: 0o2775 }),
      dir('d/e/e', { ...odd, mode: 0o700 }),
      file('d/e/e/f', 'x', { ...odd, mode: 0o640 }),
      file('d/implied/too/f', 'x', { ...odd, mode: 0o777 }),
      symlink('d/l', 'f', odd),
      symlink('d/e/l', '/outside', odd),
      fifo('d/p', { ...odd, mode: 0o660 }),
      oldSparse('d/s', 10_000, [[4096, 3]], 'abc', { mode: 0o622 }),
      characterDevice('d/c', { ...odd, mode: 0o620 }),
    )
    await sandbox.apply(layer, {}, { fifos: 'make', devices: 'empty-file' })
    assert.deepEqual(aclsOf(sandbox), { d })
    // The same layer where nothing is handed down.
    using plain = new LayerSandbox()
    await plain.apply(tar(dir('d'), file('d/lower')))
    await plain.apply(layer, {}, { fifos: 'make', devices: 'empty-file' })
    const without = (tree: Tree): unknown =>
      [...tree].map(([path, entry]) => ({ path, ...entry, xattrs: [] }))
    assert.deepEqual(without(treeOf(sandbox)), without(treeOf(plain)))
  })

  it('nor where the layer describes the directory, before or after, hides it, or clears it', async () => {
    for (const parts of [
      [dir('d', handsDown), file('d/f')],
      [file('d/f'), dir('d', handsDown)],
      [file('d/f'), opaque('d')],
      [opaque('d'), file('d/f'), dir('d/e/e')],
    ]) {
      const sandbox = await lowered(file('d/lower'))
      await sandbox.apply(tar(...parts))
      assert.deepEqual(aclsOf(sandbox), { d })
    }
    for (const parts of [
      [file('d/f'), whiteout('d')],
      [file('d/f'), dir('d/e'), dir('d')],
    ]) {
      const sandbox = await lowered(file('d/lower'))
      await sandbox.apply(tar(...parts))
      assert.deepEqual(aclsOf(sandbox), {})
    }
  })

  it('but each entry has the ACLs of its own, however it came to its place', async () => {
    const sandbox = await lowered()
    const own = aclFor(2)
    await sandbox.apply(
      tar(
        file('d/own', '', { mode: 0o770, ...having({ access: own }) }),
        hardlink('d/too', 'd/own'),
        dir('d/e', { mode: 0o770, ...having({ access: own }) }),
        file('d/e/f'),
        dir('d/g', having({ default: own })),
        file('d/g/f'),
        file('d/replaced', '', having({ access: own })),
        file('d/replaced'),
        file('d/malformed', '', having({ access: Buffer.from('no ACL') })),
      ),
    )
    assert.deepEqual(aclsOf(sandbox), {
      d,
      'd/own': [shown('access', own)],
      'd/too': [shown('access', own)],
      'd/e': [shown('access', own)],
      'd/g': [shown('default', own)],
    })
    assert.equal(treeOf(sandbox).get('d/own')?.mode, 0o770)
  })

  it('also where policy drops what entries say', async () => {
    const sandbox = await lowered()
    const own = having({ access: aclFor(2), default: aclFor(2) })
    await sandbox.apply(tar(file('d/f', '', own), dir('d/e', own), file('d/e/f')), {}, { xattrs: 'drop' })
    assert.deepEqual(aclsOf(sandbox), { d })
  })

  it('and hard links to files of the lower layers are not touched', async () => {
    const own = aclFor(3)
    const sandbox = await lowered(file('lower', '', { mode: 0o770, ...having({ access: own }) }))
    // As another tree that shares the file.
    linkSync(join(sandbox.rootfs, 'lower'), join(sandbox.rootfs, 'shared'))
    await sandbox.apply(
      tar(
        hardlink('d/link', 'lower'),
        hardlink('d/e/link', 'd/link'),
        hardlink('d/e/again', 'd/e/link'),
        file('d/e/f'),
        hardlink('elsewhere', 'd/e/again'),
        file('d/link-then-file', 'x'),
        hardlink('d/file-then-link', 'lower'),
        file('d/file-then-link', 'x'),
      ),
    )
    const its = [shown('access', own)]
    assert.deepEqual(aclsOf(sandbox), {
      d,
      lower: its,
      shared: its,
      'd/link': its,
      'd/e/link': its,
      'd/e/again': its,
      elsewhere: its,
    })
  })

  it('even when all that is left of a file is a hard link elsewhere', async () => {
    for (const last of [file('d/f', 'again'), file('d', 'replaced')]) {
      const sandbox = await lowered(dir('x'), file('x/lower'))
      await sandbox.apply(
        tar(
          file('d/f', 'first', { mode: 0o664 }),
          hardlink('x/f', 'd/f'),
          hardlink('made/f', 'x/f'),
          file('x/f', 'x'),
          last,
        ),
      )
      const tree = treeOf(sandbox)
      assert.deepEqual([tree.get('made/f')?.xattrs, tree.get('made/f')?.mode], [[], 0o664])
      assert.deepEqual(tree.get('d/f')?.xattrs ?? [], [])
    }
  })

  it('and where no directory has one, that is asked once for many', async () => {
    using sandbox = new LayerSandbox()
    const lower = Array.from({ length: 60 }, (_, index) => dir(`d${index}`))
    await sandbox.apply(tar(...lower))
    const upper = Array.from({ length: 600 }, (_, index) => file(`d${index % 60}/f${index}`))
    const programs = await programsRunBy(() => sandbox.apply(tar(...upper)))
    assert.deepEqual(programs, ['getfattr'])
  })

  it('where thousands of files are made in hundreds of directories', async () => {
    const sandbox = await lowered(file('d/lower'))
    const many = Array.from({ length: 5000 }, (_, index) => file(`d/${index}`, '', { mode: 0o640 }))
    const deep = Array.from({ length: 300 }, (_, index) => file(`d/e${index}/f`, '', { mode: 0o640 }))
    await sandbox.apply(tar(...many, ...deep))
    assert.deepEqual(aclsOf(sandbox), { d })
    const modes = [...treeOf(sandbox)].filter(([path, { type }]) => type === 'file' && path !== 'd/lower')
    assert.deepEqual([modes.length, new Set(modes.map(([, { mode }]) => mode))], [5300, new Set([0o640])])
  })
})
