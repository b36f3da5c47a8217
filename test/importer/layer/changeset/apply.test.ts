import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { isAbort } from '../../../../src/errors.ts'
import { applyLayer } from '../../../../src/importer/layer/changeset/apply.ts'
import type { LayerReport } from '../../../../src/importer/layer/apply-layer.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { openFilesBelow } from '../../../support/open-files.ts'
import {
  blockDevice,
  characterDevice,
  dir,
  file,
  hardlink,
  opaque,
  pax,
  symlink,
  tar,
  whiteout,
} from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

/** Layers, base first, and the names that they leave. */
const rules: readonly (readonly [rule: string, layers: readonly Buffer[], names: readonly string[]])[] = [
  [
    'R1: a directory over a directory merges',
    [tar(dir('d'), file('d/a')), tar(dir('d'), file('d/b'))],
    ['d/', 'd/a', 'd/b'],
  ],
  [
    'R1: an entry met twice wins the second time',
    [tar(file('a'), symlink('a', 'x'), dir('a'), file('a/b'))],
    ['a/', 'a/b'],
  ],
  ['R2: a whiteout hides a file', [tar(file('a'), file('b')), tar(whiteout('a'))], ['b']],
  ['R2: a whiteout hides a tree', [tar(file('d/e/f'), file('g')), tar(whiteout('d'))], ['g']],
  [
    'R2: a whiteout spares its own layer, before',
    [tar(file('d/old')), tar(whiteout('d'), file('d/new'))],
    ['d/', 'd/new'],
  ],
  [
    'R2: a whiteout spares its own layer, after',
    [tar(file('d/old')), tar(file('d/new'), whiteout('d'))],
    ['d/', 'd/new'],
  ],
  ['R2: a file and its own whiteout', [tar(file('a')), tar(file('a', 'new'), whiteout('a'))], ['a']],
  [
    'R2: a whiteout after another below',
    [tar(file('d/a'), file('d/b')), tar(whiteout('d/a'), whiteout('d'))],
    [],
  ],
  ['R3: opaque before', [tar(file('d/old')), tar(opaque('d'), file('d/new'))], ['d/', 'd/new']],
  ['R3: opaque after', [tar(file('d/old')), tar(file('d/new'), opaque('d'))], ['d/', 'd/new']],
  [
    'R3: opaque spares implied parents (S-20)',
    [tar(file('d/sub/old')), tar(file('d/sub/f'), opaque('d'))],
    ['d/', 'd/sub/', 'd/sub/f'],
  ],
  ['R3: opaque keeps the directory', [tar(file('d/old')), tar(opaque('d'))], ['d/']],
  ['R3: opaque of a missing directory', [tar(file('a')), tar(opaque('gone'))], ['a']],
  [
    'R3: opaque, an addition, and a whiteout of it all',
    [tar(file('d/old')), tar(opaque('d'), file('d/new'), whiteout('d'))],
    ['d/', 'd/new'],
  ],
  [
    'R5: a whiteout of what is missing has no effect',
    [tar(file('a')), tar(whiteout('b'), whiteout('gone/x'))],
    ['a'],
  ],
  [
    'R6: a whiteout through a symlink',
    [tar(dir('d'), file('d/f'), symlink('l', 'd')), tar(whiteout('l/f'))],
    ['d/', 'l -> d'],
  ],
  ['R6: a whiteout of a symlink', [tar(file('d/f'), symlink('l', 'd')), tar(whiteout('l'))], ['d/', 'd/f']],
  ['R6: .wh. in a directory name', [tar(file('.wh.d/f'))], ['.wh.d/', '.wh.d/f']],
  [
    'R7: AUFS leftovers',
    [tar(dir('.wh..wh.plnk'), file('.wh..wh.plnk/1.2'), file('.wh..wh.aufs'), file('a'))],
    ['a'],
  ],
  ['R8: a file over a directory', [tar(file('d/a')), tar(file('d'))], ['d']],
  ['R8: a symlink over a directory', [tar(file('d/a')), tar(symlink('d', 'x'))], ['d -> x']],
  [
    'R8: a directory over a symlink',
    [tar(file('d/a'), symlink('l', 'd')), tar(dir('l'), file('l/b'))],
    ['d/', 'd/a', 'l/', 'l/b'],
  ],
  [
    'R10: missing parents',
    [tar(file('a/b/c/f'), dir('x/y'))],
    ['a/', 'a/b/', 'a/b/c/', 'a/b/c/f', 'x/', 'x/y/'],
  ],
  [
    'R12: leading / and ./',
    [tar(dir('./'), file('./a'), file('/b'), file('.//c/./d'))],
    ['a', 'b', 'c/', 'c/d'],
  ],
  [
    'R13: symlinked parents',
    [tar(dir('usr/bin'), symlink('bin', 'usr/bin')), tar(file('bin/sh'))],
    ['bin -> usr/bin', 'usr/', 'usr/bin/', 'usr/bin/sh'],
  ],
  ['R13: the last component is not followed', [tar(file('a'), symlink('l', 'a'), file('l'))], ['a', 'l']],
  [
    'R14: hard links, absolute and through symlinks (S-11)',
    [
      tar(file('usr/bin/a'), symlink('bin', '/usr/bin')),
      tar(hardlink('b', '/usr/bin/a'), hardlink('c', 'bin/a')),
    ],
    ['b', 'bin -> /usr/bin', 'c', 'usr/', 'usr/bin/', 'usr/bin/a'],
  ],
  [
    'R14: a hard link to a symlink',
    [tar(symlink('l', 'nowhere'), hardlink('h', 'l'))],
    ['h -> nowhere', 'l -> nowhere'],
  ],
  ['R30: an empty layer', [tar(file('a')), tar()], ['a']],
  [
    'S-21: hard-linked whiteouts',
    [tar(file('a'), file('b'), file('c')), tar(whiteout('a'), hardlink('.wh.b', '.wh.a'))],
    ['c'],
  ],
]

describe('applyLayer', { skip, timeout: 60_000 }, () => {
  for (const [rule, layers, names] of rules)
    it(rule, async () => {
      using sandbox = new LayerSandbox()
      for (const layer of layers) await sandbox.apply(layer)
      assert.deepEqual(sandbox.names(), names)
    })

  it('R11: the root entry gives the root its attributes', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(dir('./', { mode: 0o555, uid: 1, gid: 2, mtime: 3 }), file('a')))
    const root = sandbox.tree().get('.')
    assert.deepEqual([root?.mode, root?.uid, root?.gid, root?.mtime], [0o555, 1, 2, 3_000_000_000n])
  })

  it('S-23: owner, mode and time are exact, setuid survives the change of owner, umask has no say', async () => {
    using sandbox = new LayerSandbox()
    const attributes = { uid: 1000, gid: 3_000_000, mtime: 1_700_000_000 }
    await sandbox.apply(
      tar(
        dir('sticky', { ...attributes, mode: 0o1777 }),
        dir('setgid', { ...attributes, mode: 0o2757 }),
        file('setuid', 'x', { ...attributes, mode: 0o4755 }),
        file('typed', 'x', { ...attributes, mode: 0o100666 }),
        symlink('link', 'x', attributes),
      ),
    )
    const seen = [...sandbox.tree()].filter(([path]) => path !== '.')
    for (const [path, { uid, gid, mtime }] of seen)
      assert.deepEqual([path, uid, gid, mtime], [path, 1000, 3_000_000, 1_700_000_000_000_000_000n])
    const modes = Object.fromEntries(seen.map(([path, { mode }]) => [path, mode.toString(8)]))
    assert.deepEqual(modes, { link: '777', setgid: '2757', setuid: '4755', sticky: '1777', typed: '666' })
  })

  it('R17: directories keep their times, whatever happens in them', async () => {
    using sandbox = new LayerSandbox()
    const time = 1_234_567_890.987654
    await sandbox.apply(
      tar(dir('d', { mtime: time }), dir('e', { mtime: 5 }), file('d/a'), file('d/b'), file('i/f')),
    )
    const timesOf = (): bigint[] => ['d', 'e', 'i'].map(path => sandbox.tree().get(path)?.mtime ?? -1n)
    const before = timesOf()
    assert.deepEqual(before.slice(1), [5_000_000_000n, 0n])
    await sandbox.apply(tar(file('d/c'), whiteout('d/a'), file('e/x/y'), file('i/g')))
    await sandbox.apply(tar(opaque('d'), symlink('e/l', 'x')))
    assert.deepEqual(timesOf(), before)
    await sandbox.apply(tar(file('e/z'), dir('e', { mtime: 9 })))
    assert.equal(sandbox.tree().get('e')?.mtime, 9_000_000_000n)
  })

  it('a hidden directory that its layer implies anew has nothing of the old one, whatever the order', async () => {
    for (const layer of [tar(whiteout('d'), file('d/s/f')), tar(file('d/s/f'), whiteout('d'))]) {
      using sandbox = new LayerSandbox()
      await sandbox.apply(
        tar(dir('d', { mode: 0o700, uid: 5, mtime: 7 }), dir('d/s', { mode: 0o711, mtime: 8 })),
      )
      await sandbox.apply(layer)
      for (const path of ['d', 'd/s']) {
        const { mode, uid, mtime } = sandbox.tree().get(path) ?? {}
        assert.deepEqual([mode, uid, mtime], [0o755, 0, 0n])
      }
    }
  })

  it('R14: replacing one name of a hard link leaves the other alone', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('a', 'old', { mode: 0o600 }), hardlink('b', 'a')))
    await sandbox.apply(tar(file('a', 'new')))
    assert.equal(readFileSync(join(sandbox.rootfs, 'b'), 'utf8'), 'old')
    assert.deepEqual(sandbox.tree().get('b')?.links, ['b'])
  })

  it('R15: a hard link changes nothing in its target', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('a', 'x', { mode: 0o600, mtime: 5 })))
    await sandbox.apply(tar(hardlink('b', 'a', { mode: 0o777, uid: 9, mtime: 6 })))
    const { mode, uid, mtime, links } = sandbox.tree().get('a') ?? {}
    assert.deepEqual([mode, uid, mtime, links], [0o600, 0, 5_000_000_000n, ['a', 'b']])
  })

  for (const [what, layer] of [
    ['R9: a file as a parent', tar(file('a'), file('a/b'))],
    ['R11: a root that is a file', tar(file('.'), file('a'))],
    ['R14: a hard link to nothing', tar(hardlink('b', 'a'))],
    ['R14: a hard link to a directory', tar(dir('a'), hardlink('b', 'a'))],
    ['R14: a hard link to the root', tar(hardlink('b', '/'))],
    ['a hard link in place of the directory that its target is in', tar(file('d/a'), hardlink('d', 'd/a'))],
    ['R14: a hard link to itself', tar(file('b'), hardlink('b', 'b'))],
    [
      'a path that is too long behind a symlink',
      tar(
        dir(`${'d'.repeat(200)}/`.repeat(18)),
        symlink('l', `${'d'.repeat(200)}/`.repeat(18)),
        dir(`l/${'e'.repeat(200)}/${'f'.repeat(200)}/${'g'.repeat(200)}`),
      ),
    ],
  ] as const)
    it(`refuses ${what}`, async () => {
      using sandbox = new LayerSandbox()
      await assert.rejects(sandbox.apply(layer), { name: 'DomainError', code: 'invalid' })
    })

  it('S-22: leaves devices out and counts them, with the hard links to them', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('dev/null', 'lower'), file('etc/passwd')))
    const { skippedDevices, warnings } = await sandbox.apply(
      tar(characterDevice('dev/null'), blockDevice('dev/sda'), hardlink('dev/zero', 'dev/null')),
    )
    assert.deepEqual(sandbox.names(), ['dev/', 'etc/', 'etc/passwd'])
    assert.equal(skippedDevices, 3)
    const examples = ['"dev/null"', '"dev/sda"', '"dev/zero"']
    assert.deepEqual(warnings, [{ code: 'device-skipped', count: 3, examples }])
    await sandbox.apply(tar(characterDevice('x'), file('x'), hardlink('y', 'x')))
    assert.deepEqual(sandbox.names(), ['dev/', 'etc/', 'etc/passwd', 'x', 'y'])
  })

  it('forgets a skipped node with the directory that it was in', async () => {
    using sandbox = new LayerSandbox()
    const layer = tar(characterDevice('d/n'), file('d'), dir('d'), hardlink('h', 'd/n'))
    await assert.rejects(sandbox.apply(layer), { code: 'invalid', message: /is not there/ })
  })

  it('counts what it did', async () => {
    using sandbox = new LayerSandbox()
    const xattrs = { 'SCHILY.xattr.user.a': '1', 'SCHILY.xattr.trusted.b': '' }
    const layer = tar(
      dir('d'),
      file('d/a', 'four'),
      file('d/b', 'x', { pax: xattrs }),
      whiteout('c'),
      opaque('d'),
    )
    const expected: LayerReport = {
      entries: 5,
      bytes: 5,
      whiteouts: 2,
      skippedDevices: 0,
      skippedFifos: 0,
      droppedXattrs: 2,
      directoryXattrs: 'none',
      warnings: [],
    }
    assert.deepEqual(await sandbox.apply(layer, {}, { xattrs: 'drop' }, 'none'), expected)
  })

  it('warns of what the tree does not have as the layer says it', async () => {
    using sandbox = new LayerSandbox()
    const { warnings } = await sandbox.apply(
      tar(
        pax({ comment: 'x' }, 'g'),
        dir('d', { mtime: -1 }),
        file('f', '', { mtime: -1, pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y' } }),
        ...Array.from({ length: 5 }, (_, index) => file(`.wh..wh.plnk/${index}`)),
      ),
    )
    const byCode = [...warnings].sort((one, other) => one.code.localeCompare(other.code, 'en'))
    assert.deepEqual(byCode, [
      { code: 'aufs-leftover', count: 5, examples: ['0', '1', '2'].map(name => `".wh..wh.plnk/${name}"`) },
      { code: 'global-header', count: 1, examples: ['"comment"'] },
      { code: 'time-clamped', count: 2, examples: ['"f"', '"d"'] },
      { code: 'xattr-refused', count: 1, examples: ['"f": "trusted.overlay.opaque"'] },
    ])
  })

  it('limits entries and the directories that they imply', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('a'), file('b')), { maxEntries: 2 })
    for (const layer of [tar(file('a'), file('b'), file('c')), tar(file('d/e/f'))])
      await assert.rejects(sandbox.apply(layer, { maxEntries: 2 }), { code: 'too_large' })
  })

  it('limits what a path really is, once symlinks are followed', async () => {
    using sandbox = new LayerSandbox()
    const layer = tar(dir('a/b/c'), symlink('l', 'a/b/c'), file('l/d/e'))
    await assert.rejects(sandbox.apply(layer, { maxDepth: 4 }), { code: 'invalid', message: /5 components/ })
    await assert.rejects(sandbox.apply(layer, { maxPathBytes: 8 }), { code: 'invalid', message: /9 bytes/ })
    await sandbox.apply(layer, { maxDepth: 5, maxPathBytes: 9 })
  })

  it('limits the names of one file, those of the layers below included', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('a'), hardlink('b', 'a')), { maxLinks: 2 })
    await assert.rejects(sandbox.apply(tar(hardlink('c', 'b')), { maxLinks: 2 }), { code: 'too_large' })
  })

  it('stops when it takes too long, between entries and within content', async () => {
    using sandbox = new LayerSandbox()
    for (const layer of [tar(dir('a'), dir('b'), dir('c')), tar(file('f', Buffer.alloc(300_000)))]) {
      let milliseconds = 0
      const applied = applyLayer(sandbox.rootfs, Readable.from([layer]), {
        limits: { ...defaultLayerLimits, maxSeconds: 1 },
        now: () => (milliseconds += 400),
      })
      await assert.rejects(applied, { code: 'too_large', message: /longer than 1 seconds/ })
    }
  })

  it('leaves no file open when it is over in the middle of one, in one piece or in many', async () => {
    using sandbox = new LayerSandbox()
    const layer = tar(file('a', 'x'), file('f', Buffer.alloc(3000)))
    for (const pieceBytes of [layer.length, 700])
      for (let calls = 2; calls <= 4; calls++) {
        let left = calls
        const pieces = Array.from({ length: Math.ceil(layer.length / pieceBytes) }, (_, index) =>
          layer.subarray(index * pieceBytes, (index + 1) * pieceBytes),
        )
        const applied = applyLayer(sandbox.rootfs, Readable.from(pieces), {
          limits: defaultLayerLimits,
          now: () => (left-- > 0 ? 0 : Number.MAX_VALUE),
        })
        await assert.rejects(applied, { code: 'too_large', message: /the limit maxSeconds/ })
        assert.deepEqual(openFilesBelow(sandbox.directory), [])
      }
  })

  it('writes content that comes in many pieces', async () => {
    using sandbox = new LayerSandbox()
    const content = Buffer.alloc(1_000_001, 'varve')
    await sandbox.apply(tar(file('a', content), file('b', 'b')))
    assert.deepEqual(readFileSync(join(sandbox.rootfs, 'a')), content)
  })

  it('reports progress', async () => {
    using sandbox = new LayerSandbox()
    const seen: number[] = []
    const bytes = tar(...Array.from({ length: 600 }, (_, index) => file(`f${index}`)))
    await applyLayer(sandbox.rootfs, Readable.from([bytes]), {
      limits: defaultLayerLimits,
      onProgress: ({ entries }) => seen.push(entries),
    })
    assert.deepEqual(seen, [250, 500])
  })

  it('stops when aborted, before it begins and in the middle of a file, and leaves no listener', async () => {
    using sandbox = new LayerSandbox()
    const before = new Readable({ read() {} })
    const apply = (stream: Readable, signal: AbortSignal): Promise<LayerReport> =>
      applyLayer(sandbox.rootfs, stream, { limits: defaultLayerLimits, signal })
    await assert.rejects(apply(before, AbortSignal.abort()), isAbort)
    assert.equal(before.destroyed, true)

    const controller = new AbortController()
    const within = new Readable({ read() {} })
    within.push(file('a', Buffer.alloc(100_000)).subarray(0, 50_000))
    const applying = apply(within, controller.signal)
    setTimeout(() => controller.abort(), 20)
    await assert.rejects(applying, isAbort)
    assert.equal(within.destroyed, true)

    const unused = new AbortController().signal
    await apply(Readable.from([tar(file('a'))]), unused)
    for (const signal of [controller.signal, unused])
      assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('calls a stream that is closed before its end unavailable', async () => {
    using sandbox = new LayerSandbox()
    for (const bytes of [file('a'), file('a', Buffer.alloc(100_000)).subarray(0, 50_000)]) {
      const closing = new Readable({ read() {} })
      closing.push(bytes)
      setTimeout(() => closing.destroy(), 10)
      await assert.rejects(sandbox.apply(closing), { code: 'unavailable' })
    }
  })

  it('names the entry that the host refuses', async () => {
    using sandbox = new LayerSandbox()
    writeFileSync(join(sandbox.directory, 'rootfs', 'a'), '')
    const missing = applyLayer(join(sandbox.directory, 'gone'), Readable.from([tar(file('a'))]), {
      limits: defaultLayerLimits,
    })
    await assert.rejects(missing, { name: 'DomainError', code: 'conflict' })
  })

  it('ignores what a global PAX header names (R20)', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('etc/a')))
    await sandbox.apply(tar(pax({ path: 'etc' }, 'g'), file('b')))
    assert.deepEqual(sandbox.names(), ['b', 'etc/', 'etc/a'])
    assert.equal(statSync(join(sandbox.rootfs, 'etc')).isDirectory(), true)
  })

  it('looks again where a path leads when what it passed as missing has become a symlink', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(
      tar(dir('y'), symlink('l', 'y/no/..'), file('l/a'), symlink('l/no', '/z/deep'), file('l/b')),
    )
    assert.deepEqual(
      sandbox.names().filter(name => /[ab]$/.test(name)),
      ['y/a', 'z/b'],
    )
  })
})
