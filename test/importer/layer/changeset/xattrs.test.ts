import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'
import { LateFinisher } from '../../../support/late-finisher.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { posixAcl } from '../../../support/posix-acls.ts'
import { skipWithout } from '../../../support/programs.ts'
import { dir, file, hardlink, symlink, type TarOptions, tar, whiteout } from '../../../support/tar.ts'
import { listTree } from '../../../support/tree.ts'
import { whyNoXattrs } from '../../../support/xattrs.ts'

const skip = (await skipWithout('setfattr', 'getfattr')) || (whyNoXattrs(tmpdir()) ?? false)

/** Version 2 with the effective bit; permitted: cap_setuid, which is 0x80 and no UTF-8, as newuidmap has it. */
const setuidCapability = Buffer.from('0100000280000000000000000000000000000000', 'hex')

function having(xattrs: Readonly<Record<string, string | Uint8Array>>): TarOptions {
  const records = Object.entries(xattrs).map(([name, value]) => [`SCHILY.xattr.${name}`, value] as const)
  return { pax: Object.fromEntries(records) }
}

function xattrsOf(sandbox: LayerSandbox): Record<string, readonly string[]> {
  const having = [...listTree(sandbox.rootfs, { xattrs: true })].filter(([, { xattrs }]) => xattrs.length > 0)
  return Object.fromEntries(having.map(([path, { xattrs }]) => [path, xattrs]))
}

/** With one more user than a mode has. */
const aclOf = (user: number): Buffer =>
  posixAcl([
    [0x01, 7],
    [0x02, 5, user],
    [0x04, 5],
    [0x10, 5],
    [0x20, 5],
  ])

describe('extended attributes (S-26, R19)', { skip, timeout: 60_000 }, () => {
  it('are byte-exact: capabilities, empty values, odd names, ACLs', async () => {
    using sandbox = new LayerSandbox()
    const acl = aclOf(12345)
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const { warnings, droppedXattrs } = await sandbox.apply(
      tar(
        dir('d', having({ 'user.d': 'dir', 'system.posix_acl_default': acl })),
        file('d/newuidmap', 'x', {
          uid: 0,
          mode: 0o755,
          ...having({ 'security.capability': setuidCapability }),
        }),
        file('empty', '', having({ 'user.overlay.origin': '' })),
        file('odd\n\\name', '', having({ 'user.a': bytes, 'user.c\\012\n': '"quoted"', 'user.0x': '0x00' })),
        file(Buffer.from('\xff', 'latin1'), 'x', having({ 'user.x': 'y' })),
        file('acl', '', { mode: 0o755, ...having({ 'system.posix_acl_access': acl }) }),
      ),
    )
    assert.deepEqual([warnings, droppedXattrs], [[], 0])
    assert.deepEqual(xattrsOf(sandbox), {
      acl: [`system.posix_acl_access=0x${acl.toString('hex')}`],
      d: [`system.posix_acl_default=0x${acl.toString('hex')}`, 'user.d=0x646972'],
      'd/newuidmap': [`security.capability=0x${setuidCapability.toString('hex')}`],
      empty: ['user.overlay.origin=0x'],
      'odd\n\\name': [
        'user.0x=0x30783030',
        `user.a=0x${bytes.toString('hex')}`,
        'user.c\\012\n=0x2271756f74656422',
      ],
      '\xff': ['user.x=0x79'],
    })
    assert.equal(sandbox.tree().get('acl')?.mode, 0o755)
  })

  it('that a stranger may not set are left out and counted', async () => {
    using sandbox = new LayerSandbox()
    const names = ['trusted.overlay.opaque', 'security.selinux', 'security.ima', 'system.nfs4_acl']
    const xattrs = Object.fromEntries(names.map(name => [name, 'y']))
    const layer = tar(file('f', '', having({ ...xattrs, 'user.kept': '1' })))
    const { warnings, droppedXattrs } = await sandbox.apply(layer)
    assert.deepEqual(xattrsOf(sandbox), { f: ['user.kept=0x31'] })
    assert.equal(droppedXattrs, 4)
    assert.deepEqual(
      warnings.map(({ code, count, examples }) => [code, count, examples.length]),
      [['xattr-refused', 4, 3]],
    )
  })

  it('of a symlink, too large, or malformed: reported, and nothing fails', async () => {
    using sandbox = new LayerSandbox()
    const { warnings, droppedXattrs } = await sandbox.apply(
      tar(
        symlink('l', 'f', having({ 'user.l': '1' })),
        file('f', '', having({ 'user.a': '1', 'user.large': Buffer.alloc(60_000, 'x'), 'user.z': '2' })),
        file('g', '', having({ 'security.capability': 'nonsense', 'user.z': '2' })),
      ),
    )
    assert.deepEqual(xattrsOf(sandbox), { f: ['user.a=0x31', 'user.z=0x32'], g: ['user.z=0x32'] })
    assert.equal(droppedXattrs, 3)
    assert.deepEqual(warnings, [
      {
        code: 'xattr-unsupported',
        count: 3,
        examples: ['"l": "user.l"', '"f": "user.large"', '"g": "security.capability"'],
      },
    ])
  })

  it('ACLs of no known version, and default ones of files, are reported, and keep no other from being set', async () => {
    using sandbox = new LayerSandbox()
    const acl = aclOf(1)
    const { warnings, droppedXattrs } = await sandbox.apply(
      tar(
        file('f', '', having({ 'system.posix_acl_access': 'version' })),
        file('g', '', having({ 'system.posix_acl_default': acl, 'user.g': '1' })),
        dir('d', having({ 'system.posix_acl_default': acl })),
      ),
    )
    assert.deepEqual(xattrsOf(sandbox), {
      d: [`system.posix_acl_default=0x${acl.toString('hex')}`],
      g: ['user.g=0x31'],
    })
    assert.deepEqual([droppedXattrs, warnings.map(({ code }) => code)], [2, ['xattr-unsupported']])
  })

  it('policy drop sets none', async () => {
    using sandbox = new LayerSandbox()
    const layer = tar(dir('d', having({ 'user.d': '1' })), file('f', '', having({ 'user.f': '1' })))
    const { warnings, droppedXattrs } = await sandbox.apply(layer, {}, { xattrs: 'drop' })
    assert.deepEqual([xattrsOf(sandbox), warnings, droppedXattrs], [{}, [], 2])
  })

  it('go to no file that was replaced or removed, and to every name of one that was not', async () => {
    using sandbox = new LayerSandbox()
    const own = having({ 'user.own': '1' })
    await sandbox.apply(
      tar(
        file('replaced', '', own),
        file('replaced', 'again'),
        file('gone/f', '', own),
        file('gone'),
        file('first', '', own),
        hardlink('second', 'first'),
        file('first', 'again'),
        file('both', '', own),
        hardlink('too', 'both'),
      ),
    )
    assert.deepEqual(xattrsOf(sandbox), {
      both: ['user.own=0x31'],
      second: ['user.own=0x31'],
      too: ['user.own=0x31'],
    })
  })

  it('never reach a file of the layers below through another name of it', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('a', '', having({ 'user.a': 'lower' }))))
    await sandbox.apply(tar(hardlink('b', 'a', having({ 'user.a': 'upper' }))))
    assert.deepEqual(xattrsOf(sandbox), { a: ['user.a=0x6c6f776572'], b: ['user.a=0x6c6f776572'] })
  })

  it('of a directory below: those of its last entry alone, and none when it is only implied anew', async () => {
    using sandbox = new LayerSandbox()
    const lower = having({ 'user.old': '1', 'user.both': '1' })
    await sandbox.apply(tar(dir('./', lower), dir('d', lower), dir('e', lower), dir('i', lower), file('u/f')))
    await sandbox.apply(
      tar(
        dir('d', having({ 'user.both': '2', 'user.new': '2' })),
        dir('./'),
        file('e/f'),
        whiteout('i'),
        file('i/f'),
        dir('u', having({ 'user.u': '1' })),
      ),
    )
    assert.deepEqual(xattrsOf(sandbox), {
      d: ['user.both=0x32', 'user.new=0x32'],
      e: ['user.both=0x31', 'user.old=0x31'],
      u: ['user.u=0x31'],
    })
  })

  it('of thousands of files in hundreds of directories are set in bounded batches', async () => {
    using sandbox = new LayerSandbox()
    // Of every length, the empty one first: setfattr decodes into memory that it uses again.
    const bytesFor = (index: number): Buffer =>
      Buffer.from(Array.from({ length: index % 1000 }, (_, offset) => (index * 7 + offset * 13) % 256))
    const parts = Array.from({ length: 2000 }, (_, index) =>
      file(`d${index % 200}/${index}`, '', having({ 'user.x': bytesFor(index) })),
    )
    await sandbox.apply(tar(...parts))
    const seen = Object.entries(xattrsOf(sandbox))
    assert.equal(seen.length, 2000)
    for (const [path, xattrs] of seen) {
      const value = bytesFor(Number(path.split('/')[1]))
      assert.deepEqual([path, xattrs], [path, [`user.x=0x${value.toString('hex')}`]])
    }
  })

  it('are set after the owner, who takes capabilities away, and the mode, which an ACL changes, however late', async () => {
    using sandbox = new LayerSandbox()
    sandbox.finisher = new LateFinisher()
    const options = { uid: 1000, mode: 0o700 }
    const { droppedXattrs } = await sandbox.apply(
      tar(
        file('capable', 'x', { ...options, ...having({ 'security.capability': setuidCapability }) }),
        file('acl', '', { ...options, ...having({ 'system.posix_acl_access': aclOf(7) }) }),
      ),
    )
    assert.equal(droppedXattrs, 0)
    assert.deepEqual(Object.keys(xattrsOf(sandbox)).sort(), ['acl', 'capable'])
    assert.deepEqual(
      ['acl', 'capable'].map(path => sandbox.tree().get(path)?.mode),
      [0o755, 0o700],
    )
  })

  it('a default ACL does not touch what its own layer puts into the directory', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(
      tar(
        dir('d', having({ 'system.posix_acl_default': aclOf(1) })),
        file('d/f', '', { mode: 0o666 }),
        dir('d/e'),
      ),
    )
    assert.deepEqual(Object.keys(xattrsOf(sandbox)), ['d'])
    assert.equal(sandbox.tree().get('d/f')?.mode, 0o666)
  })

  it('a default ACL of the layers below does not change modes', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(dir('d', having({ 'system.posix_acl_default': aclOf(1) }))))
    await sandbox.apply(
      tar(
        file('d/f', '', { mode: 0o666 }),
        file('d/g', '', { mode: 0o777 }),
        file('d/e/f', '', { mode: 0o622 }),
      ),
    )
    const modes = ['d/f', 'd/g', 'd/e/f'].map(path => sandbox.tree().get(path)?.mode.toString(8))
    assert.deepEqual(modes, ['666', '777', '622'])
  })
})
