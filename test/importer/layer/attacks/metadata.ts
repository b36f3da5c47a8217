/** S-22 to S-26 of layers.md 2.C: devices, modes, owners, times. Extended attributes: xattrs.test.ts. */
import assert from 'node:assert/strict'
import { chownSync, lstatSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defaultLayerPolicy } from '../../../../src/importer/layer/policy.ts'
import {
  blockDevice,
  characterDevice,
  dir,
  fifo,
  file,
  hardlink,
  pax,
  symlink,
  tar,
} from '../../../support/tar.ts'
import type { TreeEntry } from '../../../support/tree.ts'
import { type Attack, refused, stays } from './attack.ts'
import { withBytes, withNumber } from './odd-tar.ts'

const devices: readonly (readonly [what: string, node: Buffer])[] = [
  ['a character device 0:0', characterDevice('node')],
  ['a character device 1:3', withNumber(characterDevice('node'), 'deviceMajor', 1n)],
  ['a block device 8:0', withNumber(blockDevice('node'), 'deviceMajor', 8n)],
  ['a block device with setuid and 0777', blockDevice('node', { mode: 0o4777 })],
]

const typesIn = (tree: ReadonlyMap<string, TreeEntry>): string[] =>
  [...tree].filter(([path]) => path !== '.').map(([path, { type }]) => `${path} ${type}`)

const deviceAttacks: readonly Attack[] = devices.flatMap(([what, node]): Attack[] => [
  {
    title: `S-22: ${what} is left out`,
    layers: [tar(file('node', 'lower')), tar(node, hardlink('again', 'node'))],
    outcome: [],
    policy: { devices: 'skip' },
    check: (_, report) => assert.equal(report?.skippedDevices, 2),
  },
  {
    title: `S-22: ${what} becomes an empty file`,
    layers: [tar(file('node', 'lower')), tar(node)],
    outcome: ['node'],
    policy: { devices: 'empty-file' },
    check: sandbox => {
      const { type, size } = sandbox.tree().get('node') ?? {}
      assert.deepEqual([type, size], ['file', 0])
    },
  },
  {
    title: `S-22: ${what} is refused`,
    layers: [tar(file('a')), tar(node)],
    outcome: 'unsupported',
    policy: { devices: 'refuse' },
    check: sandbox => assert.deepEqual(sandbox.names(), ['a']),
  },
])

const fifoAttacks: readonly Attack[] = [
  {
    title: 'S-22: a FIFO is made, and read by nothing',
    layers: [
      tar(file('etc/passwd', 'root:x:0:0')),
      tar(fifo('etc/passwd', { mode: 0o640, uid: 5, mtime: 6 })),
    ],
    outcome: undefined,
    policy: { fifos: 'make' },
    check: sandbox => {
      assert.deepEqual(typesIn(sandbox.tree()), ['etc directory', 'etc/passwd fifo'])
      const { mode, uid, mtime } = sandbox.tree().get('etc/passwd') ?? {}
      assert.deepEqual([mode, uid, mtime], [0o640, 5, 6_000_000_000n])
    },
  },
  {
    title: 'S-22: a file, a directory and a whiteout in the place of a FIFO do not open it',
    layers: [
      tar(fifo('a'), fifo('b'), fifo('c'), fifo('d')),
      tar(file('a', 'x'), dir('b'), file('.wh.c'), hardlink('e', 'd'), file('d', 'x')),
    ],
    outcome: undefined,
    policy: { fifos: 'make' },
    check: sandbox =>
      assert.deepEqual(typesIn(sandbox.tree()), ['a file', 'b directory', 'd file', 'e fifo']),
  },
  {
    title: 'S-22: a FIFO is left out',
    layers: [tar(file('etc/passwd')), tar(fifo('etc/passwd'))],
    outcome: ['etc/'],
    policy: { fifos: 'skip' },
    check: (_, report) => assert.equal(report?.skippedFifos, 1),
  },
  {
    title: 'S-22: a FIFO is refused',
    layers: [tar(fifo('f'))],
    outcome: 'unsupported',
    policy: { fifos: 'refuse' },
  },
  {
    title: 'S-22: a FIFO as a directory of something',
    layers: [tar(fifo('f'), file('f/g'))],
    outcome: 'invalid',
    policy: { fifos: 'make' },
  },
]

const modes: readonly (readonly [path: string, mode: number])[] = [
  ['setuid', 0o4755],
  ['setgid', 0o2755],
  ['both', 0o6711],
  ['sticky', 0o1644],
  ['typed', 0o100666],
  ['none', 0],
]

const ids: readonly (readonly [title: string, entry: Buffer, uid: number | undefined])[] = [
  ['4294967295 by PAX', file('f', '', { pax: { uid: '4294967295' } }), undefined],
  ['4294967295 by base-256', withNumber(file('f'), 'uid', 4294967295n), undefined],
  ['4294967296 by base-256', withNumber(file('f'), 'uid', 4294967296n), undefined],
  ['4294967294 by PAX', file('f', '', { pax: { uid: '4294967294' } }), 4294967294],
  ['4294967294 by base-256', withNumber(file('f'), 'uid', 4294967294n), 4294967294],
  ['2097152 by PAX', file('f', '', { uid: 2097152 }), 2097152],
  ['2097152 by base-256', withNumber(file('f'), 'uid', 2097152n), 2097152],
  ['-1 by PAX', file('f', '', { pax: { uid: '-1' } }), undefined],
  ['-1 by base-256', withNumber(file('f'), 'uid', -1n), undefined],
  ['-2 by base-256', withNumber(file('f'), 'uid', -2n), undefined],
  ['1e3 by PAX', file('f', '', { pax: { uid: '1e3' } }), undefined],
]

/** A time in nanoseconds, when it is one that file systems have; else it is the nearest, and said so. */
const times: readonly (readonly [title: string, entry: Buffer, mtime: bigint | 'clamped' | 'invalid'])[] = [
  ['-1', file('f', '', { mtime: -1 }), 'clamped'],
  ['-1 by base-256', withNumber(file('f'), 'mtime', -1n), 'clamped'],
  ['1e18', file('f', '', { pax: { mtime: '1000000000000000000' } }), 'clamped'],
  ['1e18 by base-256', withNumber(file('f'), 'mtime', 10n ** 18n), 'clamped'],
  ['NaN', file('f', '', { pax: { mtime: 'NaN' } }), 'invalid'],
  ['1e3', file('f', '', { pax: { mtime: '1e3' } }), 'invalid'],
  ['1.999999999', file('f', '', { pax: { mtime: '1.999999999' } }), 1_999_999_999n],
  ['missing', withBytes(file('f'), 'mtime', ''), 0n],
]

export const metadataAttacks: readonly Attack[] = [
  ...deviceAttacks,
  {
    title: 'S-22: a device number beyond 32 bits makes no other device',
    layers: [tar(file('a')), tar(withNumber(characterDevice('node'), 'deviceMajor', 4294967297n))],
    outcome: ['a'],
    policy: { devices: 'skip' },
    check: (_, report) => assert.equal(report?.skippedDevices, 1),
  },
  ...fifoAttacks,
  stays(
    'S-23: modes are exact, with another owner',
    tar(
      ...modes.map(([path, mode]) => file(path, 'x', { mode, uid: 1000, gid: 1001 })),
      ...modes.map(([path, mode]) => dir(`${path}.d`, { mode, uid: 1000, gid: 1001 })),
      dir('inherits', { mode: 0o2777, gid: 50 }),
      file('inherits/file', '', { mode: 0o644 }),
      dir('inherits/directory', { mode: 0o755 }),
    ),
    undefined,
    sandbox => {
      const tree = sandbox.tree()
      for (const [path, mode] of modes)
        for (const name of [path, `${path}.d`]) {
          const entry = tree.get(name)
          assert.deepEqual([name, entry?.mode, entry?.uid, entry?.gid], [name, mode & 0o7777, 1000, 1001])
        }
      const below = ['inherits/file', 'inherits/directory'].map(path => tree.get(path))
      assert.deepEqual(
        below.map(entry => [entry?.mode, entry?.gid]),
        [
          [0o644, 0],
          [0o755, 0],
        ],
      )
    },
  ),
  ...ids.map(
    ([title, entry, uid]): Attack => ({
      title: `S-24: the owner ${title}`,
      layers: [tar(entry)],
      outcome: ({ rootfs }) => (uid === undefined || !takesOwner(rootfs, uid) ? 'invalid' : ['f']),
      check: (sandbox, report) =>
        assert.equal(report === undefined ? uid : sandbox.tree().get('f')?.uid, uid),
    }),
  ),
  ...times.map(([title, entry, mtime]) =>
    mtime === 'invalid'
      ? refused(`S-25: the time ${title}`, tar(entry))
      : stays(`S-25: the time ${title}`, tar(entry), ['f'], (sandbox, report) => {
          const found = sandbox.tree().get('f')?.mtime ?? -1n
          if (typeof mtime === 'bigint') assert.equal(found, asKept(sandbox.rootfs, mtime))
          else {
            assert.ok(found >= 0n)
            assert.ok(report?.warnings.some(({ code }) => code === 'time-clamped'))
          }
        }),
  ),
  stays(
    'S-25: the time 2^33, where the file system has it',
    tar(file('f', '', { mtime: 2 ** 33 })),
    ['f'],
    (sandbox, report) => {
      const found = sandbox.tree().get('f')?.mtime ?? -1n
      const isClamped = report?.warnings.some(({ code }) => code === 'time-clamped') ?? false
      assert.equal(
        isClamped ? found < 2n ** 33n * 1_000_000_000n : found === 2n ** 33n * 1_000_000_000n,
        true,
      )
    },
  ),
  stays(
    'S-25: odd times of a directory and a symlink',
    tar(
      Buffer.concat([pax({ mtime: '-5' }), dir('d')]),
      Buffer.concat([pax({ mtime: '99999999999999' }), symlink('l', 'd')]),
      Buffer.concat([pax({ mtime: '0.000000001' }), dir('e')]),
    ),
    ['d/', 'e/', 'l -> d'],
    sandbox => assert.ok((sandbox.tree().get('d')?.mtime ?? -1n) >= 0n),
  ),
  {
    title: 'S-26: extended attributes that are dropped by policy',
    layers: [tar(file('f', '', { pax: { 'SCHILY.xattr.user.a': '1', 'SCHILY.xattr.user.b': '' } }))],
    outcome: ['f'],
    policy: { ...defaultLayerPolicy, xattrs: 'drop' },
    check: (_, report) => assert.equal(report?.droppedXattrs, 2),
  },
]

/** zfs-fuse has owners up to 2^31 only: such a layer cannot be applied there. */
function takesOwner(directory: string, uid: number): boolean {
  const probe = join(directory, 'probe')
  writeFileSync(probe, '')
  try {
    chownSync(probe, uid, 0)
    return true
  } catch {
    return false
  } finally {
    rmSync(probe)
  }
}

/** What the file system keeps of a time in nanoseconds: zfs-fuse keeps whole seconds. */
function asKept(directory: string, mtime: bigint): bigint {
  const probe = join(directory, 'probe')
  writeFileSync(probe, '')
  utimesSync(probe, 1.5, 1.5)
  const keepsFractions = lstatSync(probe).mtimeMs === 1500
  return keepsFractions ? mtime : (mtime / 1_000_000_000n) * 1_000_000_000n
}
