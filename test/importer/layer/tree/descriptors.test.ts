import assert from 'node:assert/strict'
import {
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { asByteString, encodeText } from '../../../../src/importer/layer/byte-string.ts'
import { LayerApplier } from '../../../../src/importer/layer/changeset/layer-applier.ts'
import type { LayerEntry } from '../../../../src/importer/layer/entry.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { Descriptors } from '../../../../src/importer/layer/tree/descriptors.ts'
import { Directory } from '../../../../src/importer/layer/tree/directory.ts'
import { RootTree } from '../../../../src/importer/layer/tree/root-tree.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'
const skipPlain = process.platform === 'linux' ? skip : 'only Linux is known to have /proc/self/fd'

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

function fileAt(path: string): LayerEntry {
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 1, xattrs: [] }
  const body = (async function* () {
    yield Buffer.from('stranger')
  })()
  return { type: 'file', path: path.split('/').map(encodeText), ...attributes, size: 8, body }
}

describe('Descriptors', { skip: skipPlain, timeout: 60_000 }, () => {
  it('opens what was closed again, through however many directories, and never holds more than it may', () => {
    using sandbox = new LayerSandbox()
    const before = openDescriptors()
    {
      using descriptors = new Descriptors(sandbox.rootfs, { maxOpen: 3 })
      const root = Directory.root()
      const leaves = ['a', 'b', 'c', 'd', 'e'].map(top => {
        mkdirSync(join(sandbox.rootfs, top, 'x/y/z'), { recursive: true })
        return ['x', 'y', 'z'].reduce((at, name) => at.child(encodeText(name)), root.child(encodeText(top)))
      })
      for (let round = 0; round < 3; round++)
        for (const leaf of leaves) writeFileSync(descriptors.at(leaf, encodeText(`f${round}`)), '')
      assert.equal(openDescriptors(), before + 1 + 3)
    }
    assert.equal(openDescriptors(), before)
    assert.equal([...sandbox.tree().keys()].filter(path => path.includes('/f')).length, 15)
  })

  it('leaves nothing open when a directory cannot be opened', () => {
    using sandbox = new LayerSandbox()
    mkdirSync(join(sandbox.rootfs, 'a/b'), { recursive: true })
    const before = openDescriptors()
    {
      using descriptors = new Descriptors(sandbox.rootfs)
      const gone = Directory.root().child(encodeText('a')).child(encodeText('b')).child(encodeText('gone'))
      assert.throws(() => descriptors.fileOf(gone), { code: 'ENOENT' })
      assert.equal(openDescriptors(), before + 1)
    }
    assert.throws(() => new Descriptors(join(sandbox.rootfs, 'gone')), { code: 'ENOENT' })
    assert.equal(openDescriptors(), before)
  })

  it('tells a child process the directory by the number that it gets', () => {
    using sandbox = new LayerSandbox()
    mkdirSync(join(sandbox.rootfs, 'a'))
    for (const throughDescriptors of [true, false]) {
      using descriptors = new Descriptors(sandbox.rootfs, { throughDescriptors })
      const directory = Directory.root().child(encodeText('a'))
      const expected = throughDescriptors ? '/proc/self/fd/3/' : `${sandbox.rootfs}/a/`
      assert.equal(descriptors.prefixInChild(directory, 3), expected)
      closeSync(descriptors.openAnew(directory))
    }
  })

  it('passes names that are not UTF-8 as they are', () => {
    using sandbox = new LayerSandbox()
    using descriptors = new Descriptors(sandbox.rootfs)
    writeFileSync(descriptors.at(Directory.root(), asByteString('\xff\xc3\xa4')), '')
    assert.deepEqual([...sandbox.tree().keys()], ['.', '\xff\xc3\xa4'])
  })
})

describe('S-37: somebody swaps a directory for a symlink', { skip: skipPlain, timeout: 60_000 }, () => {
  const swap = (sandbox: LayerSandbox): void => {
    renameSync(join(sandbox.rootfs, 'd'), join(sandbox.rootfs, 'moved'))
    symlinkSync('../victim', join(sandbox.rootfs, 'd'))
  }

  it('while it is open: what follows goes where the directory is now', async () => {
    using sandbox = new LayerSandbox()
    using tree = new RootTree(sandbox.rootfs)
    const applier = new LayerApplier(tree, { limits: defaultLayerLimits })
    await applier.apply(fileAt('d/one'))
    swap(sandbox)
    await applier.apply(fileAt('d/authorized_keys'))
    assert.equal(readFileSync(join(sandbox.rootfs, 'moved/authorized_keys'), 'utf8'), 'stranger')
  })

  it('while it is closed: nothing is followed, and the layer fails', async () => {
    using sandbox = new LayerSandbox()
    using tree = new RootTree(sandbox.rootfs, { maxOpen: 3 })
    const applier = new LayerApplier(tree, { limits: defaultLayerLimits })
    for (const name of ['d/one', 'e/one', 'f/one', 'g/one']) await applier.apply(fileAt(name))
    swap(sandbox)
    await assert.rejects(async () => applier.apply(fileAt('d/authorized_keys')), { code: 'ENOTDIR' })
    assert.throws(() => applier.finish(), { code: 'ENOTDIR' })
  })

  it('before its tree is removed: what the symlink names stays', () => {
    using sandbox = new LayerSandbox()
    mkdirSync(join(sandbox.rootfs, 'd/sub'), { recursive: true })
    using tree = new RootTree(sandbox.rootfs)
    const found = tree.look(tree.root, encodeText('d'))
    assert.equal(found.kind, 'directory')
    swap(sandbox)
    assert.throws(() => tree.remove(tree.root, encodeText('d')), { code: 'ENOTDIR' })
  })
})
