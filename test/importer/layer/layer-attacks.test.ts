import assert from 'node:assert/strict'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { LayerSandbox } from '../../support/layer-sandbox.ts'
import { dir, file, hardlink, opaque, symlink, tar, whiteout } from '../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

/** Disposing a sandbox checks that nothing outside of its root has changed. */
const contained: readonly (readonly [
  sequence: string,
  layers: readonly Buffer[],
  names: readonly string[],
])[] = [
  ['S-1: a symlink to /', [tar(symlink('x', '/'), file('x/etc/pwn'))], ['etc/', 'etc/pwn', 'x -> /']],
  ['S-2: a symlink far up', [tar(symlink('x', '../../..'), file('x/pwn'))], ['pwn', 'x -> ../../..']],
  [
    'S-4: a symlink in one layer, used in the next (CVE-2025-45582)',
    [tar(symlink('x', '../victim')), tar(file('x/authorized_keys', 'pwned'))],
    ['victim/', 'victim/authorized_keys', 'x -> ../victim'],
  ],
  [
    'S-10: var/run -> /run with a directory there',
    [tar(dir('run'), symlink('var/run', '/run')), tar(file('var/run/x'))],
    ['run/', 'run/x', 'var/', 'var/run -> /run'],
  ],
  [
    'S-10: var/run -> /run without one',
    [tar(symlink('var/run', '/run')), tar(file('var/run/x'))],
    ['run/', 'run/x', 'var/', 'var/run -> /run'],
  ],
  [
    'S-14: a relative escape before an absolute symlink',
    [tar(symlink('a', '../../x'), symlink('x', '/etc'), file('a/f'))],
    ['a -> ../../x', 'etc/', 'etc/f', 'x -> /etc'],
  ],
  [
    'S-16: opaque at the root',
    [tar(file('old/a'), file('b')), tar(file('new/c'), opaque(''))],
    ['new/', 'new/c'],
  ],
  ['S-17: a whiteout of a symlink', [tar(symlink('l', '/victim')), tar(whiteout('l'))], []],
  [
    'S-17: a whiteout through a symlink',
    [tar(file('etc/passwd'), symlink('l', '/etc')), tar(whiteout('l/passwd'))],
    ['etc/', 'l -> /etc'],
  ],
  [
    'S-19: a whiteout and an addition, in both orders',
    [tar(file('d/old'), file('e/old')), tar(file('d/new'), whiteout('d'), whiteout('e'), file('e/new'))],
    ['d/', 'd/new', 'e/', 'e/new'],
  ],
  ['S-36: a symlink to .zfs is only a symlink', [tar(symlink('z', '.zfs/snapshot'))], ['z -> .zfs/snapshot']],
  ['S-36: .zfs deeper is only a name', [tar(file('a/.zfs/b'))], ['a/', 'a/.zfs/', 'a/.zfs/b']],
]

const refused: readonly (readonly [sequence: string, layers: readonly Buffer[]])[] = [
  ['S-3: ../pwn', [tar(file('../pwn'))]],
  ['S-5: a symlink called .', [tar(symlink('.', '/tmp'))]],
  ['S-5: a symlink called /.', [tar(symlink('/.', '/tmp'))]],
  ['S-5: a symlink called ./ (CVE-2021-29136)', [tar(symlink('./', '/tmp'))]],
  ['S-5: a symlink called //', [tar(symlink('//', '/tmp'))]],
  ['S-5: an empty name', [tar(symlink('', '/tmp'))]],
  ['S-6: a hard link far up', [tar(hardlink('h', '../canary'))]],
  ['S-6: an absolute hard link', [tar(hardlink('h', '/etc/passwd'))]],
  ['S-9: a loop of symlinks', [tar(symlink('a', 'b'), symlink('b', 'a'), file('a/f'))]],
  [
    'S-9: a chain of 300 symlinks',
    [tar(...Array.from({ length: 300 }, (_, hop) => symlink(`l${hop}`, `l${hop + 1}`)), file('l0/f'))],
  ],
  [
    'S-12: a hard link through a symlink and ..',
    [tar(dir('dir'), symlink('d', 'dir'), hardlink('h', 'd/../../..'))],
  ],
  ['S-13: a hard link to a sibling of the root', [tar(hardlink('h', '../rootfs-evil/f'))]],
  ['S-35: a deep tree', [tar(...[100, 200, 300].map(depth => dir('a/'.repeat(depth))))]],
  ['S-36: .zfs/', [tar(dir('.zfs/'))]],
  ['S-36: ./.zfs', [tar(dir('./.zfs'))]],
  ['S-36: .zfs/snapshot/evil/', [tar(dir('.zfs/snapshot/evil/'))]],
  ['S-36: .zfs/snapshot/.wh.final', [tar(whiteout('.zfs/snapshot/final'))]],
  ['S-36: a whiteout of .zfs', [tar(whiteout('.zfs'))]],
  ['S-36: a symlink called .zfs', [tar(symlink('.zfs', 'x'))]],
  ['S-36: a/../.zfs', [tar(dir('a/../.zfs'))]],
  ['S-36: through a symlink', [tar(symlink('z', '.zfs/snapshot')), tar(dir('z/evil'))]],
  ['S-36: a hard link into it', [tar(hardlink('h', '.zfs/snapshot/x'))]],
]

describe('hostile layers', { skip, timeout: 120_000 }, () => {
  for (const [sequence, layers, names] of contained)
    it(`${sequence}: stays inside`, async () => {
      using sandbox = new LayerSandbox()
      for (const layer of layers) await sandbox.apply(layer)
      assert.deepEqual(sandbox.names(), names)
    })

  for (const [sequence, layers] of refused)
    it(`${sequence}: refused`, async () => {
      using sandbox = new LayerSandbox()
      for (const layer of layers.slice(0, -1)) await sandbox.apply(layer)
      await assert.rejects(sandbox.apply(layers.at(-1) ?? tar()), { name: 'DomainError', code: 'invalid' })
    })

  it('S-7: a hard link to a symlink changes nothing where it points (CVE-2021-32760)', async () => {
    using sandbox = new LayerSandbox()
    const outside = join(sandbox.directory, 'canary')
    symlinkSync(outside, join(sandbox.rootfs, 'a'))
    await sandbox.apply(tar(hardlink('h', 'a', { mode: 0o777, uid: 7 })))
    assert.deepEqual(sandbox.names(), [`a -> ${outside}`, `h -> ${outside}`])
  })

  it('S-8: a directory becomes a symlink and a directory again (CVE-2025-47290)', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(
      tar(
        dir('foo'),
        dir('foo/tmp'),
        file('foo/tmp/f', '1'),
        symlink('foo', '/'),
        file('foo/tmp/f', '2'),
        dir('foo'),
        dir('foo/tmp'),
        file('foo/tmp/f', '3'),
      ),
    )
    assert.deepEqual(sandbox.names(), ['foo/', 'foo/tmp/', 'foo/tmp/f', 'tmp/', 'tmp/f'])
    assert.equal(readFileSync(join(sandbox.rootfs, 'foo/tmp/f'), 'utf8'), '3')
    assert.equal(readFileSync(join(sandbox.rootfs, 'tmp/f'), 'utf8'), '2')
  })

  it('times of a directory that a symlink has replaced land nowhere', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(
      tar(dir('a/victim', { mtime: 7 }), file('a/victim/f'), symlink('a', sandbox.directory)),
    )
    assert.deepEqual(sandbox.names(), [`a -> ${sandbox.directory}`])
  })

  it('S-15: malformed whiteouts are refused and delete nothing', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('etc/passwd'), file('a/b')))
    const before = sandbox.tree()
    const names = ['.wh..', '.wh...', 'etc/.wh..', 'etc/.wh...', '.wh.', 'a/.wh.', '.wh..wh..']
    for (const name of [...names, `.wh.${'x'.repeat(300)}`])
      await assert.rejects(sandbox.apply(tar(file(name))), { code: 'invalid' })
    assert.deepEqual(sandbox.tree(), before)
  })

  it('S-18: 10,000 opaque whiteouts cost linear time (GHSA-rp3h-jf77-q9p4)', {
    timeout: 60_000,
  }, async () => {
    using sandbox = new LayerSandbox()
    const count = 10_000
    const each = (make: (index: number) => Buffer): Buffer[] =>
      Array.from({ length: count }, (_, index) => make(index))
    await sandbox.apply(tar(...each(index => file(`d/f${index}`))))
    await sandbox.apply(tar(file('d/kept'), ...each(() => opaque('d')), ...each(() => whiteout('d'))))
    assert.deepEqual(sandbox.names(), ['d/', 'd/kept'])
  })

  it('S-18: opaque whiteouts from the innermost directory out', async () => {
    using sandbox = new LayerSandbox()
    const depths = Array.from({ length: 200 }, (_, index) => 'a/'.repeat(200 - index).slice(0, -1))
    await sandbox.apply(tar(...depths.map(path => file(`${path}/old`))))
    await sandbox.apply(tar(...depths.flatMap(path => [file(`${path}/new`), opaque(path)])))
    assert.equal(sandbox.names().filter(name => name.endsWith('old')).length, 0)
    assert.equal(sandbox.names().filter(name => name.endsWith('new')).length, 200)
  })
})
