/** S-26 of layers.md 2.C: extended attributes, byte-exact where the file system has them, and never outside the root. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { LayerWarningCode } from '../../../../src/importer/layer/apply-layer.ts'
import { describeInEachPlace } from '../../../support/layer-places.ts'
import type { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { ensurePrograms } from '../../../support/programs.ts'
import { dir, file, hardlink, pax, symlink, tar } from '../../../support/tar.ts'
import { listXattrs, whyNoXattrs } from '../../../support/xattrs.ts'
import { type Attack, type AttackLayer, attackTests } from './attack.ts'

await ensurePrograms('getfattr')

type Values = Readonly<Record<string, string | Uint8Array>>

/** cap_setuid, as newuidmap has it: revision 2, effective, bit 7. */
const capability = Buffer.from('0100000280000000000000000000000000000000', 'hex')

const withXattrs = (entry: Buffer, values: Values): Buffer =>
  Buffer.concat([
    pax(Object.fromEntries(Object.entries(values).map(([name, value]) => [`SCHILY.xattr.${name}`, value]))),
    entry,
  ])

/** What `f` must have in the end, in a file system that has attributes. */
interface Kept {
  readonly what: string
  readonly layers: readonly AttackLayer[]
  readonly values: Values
  readonly warnings?: readonly LayerWarningCode[]
}

const evil = { 'user.evil': 'pwned', 'security.capability': capability }

const kept: readonly Kept[] = [
  {
    what: 'a capability with a byte beyond ASCII',
    layers: [
      tar(withXattrs(file('f', 'x', { uid: 7, mode: 0o4755 }), { 'security.capability': capability })),
    ],
    values: { 'security.capability': capability },
  },
  {
    what: 'an empty value',
    layers: [tar(withXattrs(file('f'), { 'user.overlay.origin': '', 'user.a': '1' }))],
    values: { 'user.overlay.origin': '', 'user.a': '1' },
  },
  {
    what: 'an = in what follows the name',
    layers: [tar(withXattrs(file('f'), { 'user.a=b': 'c=d' }))],
    values: { 'user.a': 'b=c=d' },
  },
  {
    what: 'newlines, quotes, backslashes, NUL and every other byte in a value',
    layers: [
      tar(
        withXattrs(file('f'), {
          'user.all': Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
          'user.text': '\n# file: ../canary\nuser.evil="pwned"\n',
        }),
      ),
    ],
    values: {
      'user.all': Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
      'user.text': '\n# file: ../canary\nuser.evil="pwned"\n',
    },
  },
  {
    what: 'what steers the host is not set',
    layers: [
      tar(
        withXattrs(file('f'), {
          'trusted.overlay.opaque': 'y',
          'security.selinux': 'unconfined_u:object_r:default_t:s0\0',
          'security.ima': 'x',
          'system.nfs4_acl': 'x',
          'user.a': '1',
        }),
      ),
    ],
    values: { 'user.a': '1' },
    warnings: ['xattr-refused'],
  },
  {
    what: 'none of a file that another one has replaced',
    layers: [tar(withXattrs(file('f'), evil), file('f', 'new'))],
    values: {},
  },
  {
    what: 'none of a file of the layer below that was replaced',
    layers: [tar(withXattrs(file('f'), evil)), tar(file('f', 'new'))],
    values: {},
  },
  {
    what: 'none that a hard link brings',
    layers: [tar(file('f')), tar(withXattrs(hardlink('h', 'f'), evil))],
    values: {},
  },
  {
    what: "only a directory's new ones, where it is over another",
    layers: [tar(withXattrs(dir('f'), { 'user.old': '1' })), tar(withXattrs(dir('f'), { 'user.new': '2' }))],
    values: { 'user.new': '2' },
  },
]

const hexOf = (values: Values): string[] =>
  Object.entries(values)
    .map(([name, value]) => `${name}=0x${Buffer.from(value).toString('hex')}`)
    .sort()

const keptAttacks = kept.map(
  ({ what, layers, values, warnings = [] }): Attack => ({
    title: `S-26: ${what}`,
    layers,
    outcome: undefined,
    check: (sandbox, report) => {
      const codes = report?.warnings.map(({ code }) => code) ?? []
      if (whyNoXattrs(sandbox.rootfs) === undefined) {
        assert.deepEqual(attributesOf(sandbox, 'f'), hexOf(values))
        assert.deepEqual(codes, warnings)
        return
      }
      const isDropped = Object.keys(values).length > 0
      assert.equal((report?.droppedXattrs ?? 0) > 0, isDropped)
      assert.deepEqual(codes.includes('xattr-unsupported'), isDropped)
    },
  }),
)

/** Each aims an attribute at the canary: at the end of a layer, its paths lead elsewhere than they did. */
const aimed: readonly (readonly [what: string, layer: (outside: string) => Buffer])[] = [
  ['a symlink itself', outside => tar(withXattrs(symlink('f', join(outside, 'canary')), evil))],
  [
    'a file that a symlink has replaced',
    outside => tar(withXattrs(file('f'), evil), symlink('f', join(outside, 'canary'))),
  ],
  [
    'a file in a directory that a symlink has replaced',
    outside => tar(withXattrs(file('d/authorized_keys'), evil), symlink('d', join(outside, 'victim'))),
  ],
  [
    'a directory that a symlink has replaced',
    outside => tar(withXattrs(dir('d'), evil), symlink('d', join(outside, 'victim'))),
  ],
  [
    'a hard link to a symlink',
    outside => tar(symlink('s', join(outside, 'canary')), withXattrs(hardlink('f', 's'), evil)),
  ],
  [
    'a name with a newline and a heading in it',
    () => tar(withXattrs(file('f\n\n# file: ../canary\nuser.evil="x"\n'), evil)),
  ],
  ['a name that begins with a dash', () => tar(withXattrs(file('-x'), evil), withXattrs(file('--'), evil))],
]

const aimedAttacks = aimed.map(
  ([what, layer]): Attack => ({
    title: `S-26: attributes of ${what} land nowhere else`,
    layers: [({ directory }) => layer(directory)],
    outcome: undefined,
  }),
)

const large: Attack = {
  title: 'S-26: a value of 70 KiB',
  layers: [tar(withXattrs(file('f'), { 'user.large': Buffer.alloc(70 * 1024, 'x') }))],
  outcome: 'too_large',
}

describeInEachPlace("hostile layers' extended attributes", { timeout: 120_000 }, place =>
  attackTests(place, [...keptAttacks, ...aimedAttacks, large]),
)

function attributesOf(sandbox: LayerSandbox, path: string): readonly string[] {
  return listXattrs(sandbox.rootfs).get(path) ?? []
}
