import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeText } from '../../../../src/importer/layer/byte-string.ts'
import type { LayerPath } from '../../../../src/importer/layer/entry.ts'
import { joinPath } from '../../../../src/importer/layer/entry-path.ts'
import { resolveDirectory, type Walk } from '../../../../src/importer/layer/tree/resolve.ts'

/** `'dir'`, `'file'`, or where a symlink points. All else is missing. */
type Model = Readonly<Record<string, string>>

/** Directories of the model are paths. */
function resolve(path: string, model: Model): string {
  const walk: Walk<LayerPath> = {
    root: [],
    parentOf: directory => (directory.length === 0 ? undefined : directory.slice(0, -1)),
    look: (directory, name) => {
      const at = [...directory, name]
      const found = Object.hasOwn(model, at.join('/')) ? model[at.join('/')] : undefined
      if (found === undefined) return { kind: 'missing' }
      if (found === 'dir') return { kind: 'directory', directory: at }
      if (found === 'file') return { kind: 'other', links: 1 }
      return { kind: 'symlink', target: encodeText(found.slice('-> '.length)) }
    },
    pathOf: directory => directory,
  }
  const { directory, missing } = resolveDirectory(path.split('/').map(encodeText), walk)
  return `/${joinPath([...directory, ...missing])}`
}

const cases: readonly (readonly [what: string, path: string, model: Model, real: string])[] = [
  ['plain directories', 'a/b', { a: 'dir', 'a/b': 'dir' }, '/a/b'],
  ['missing ones', 'a/b', {}, '/a/b'],
  ['an absolute symlink', 'x/etc', { x: '-> /' }, '/etc'],
  ['an absolute symlink to somewhere', 'var/run/lock', { var: 'dir', 'var/run': '-> /run' }, '/run/lock'],
  ['a relative symlink', 'a/l/c', { a: 'dir', 'a/l': '-> ../b' }, '/b/c'],
  ['too many ..', 'x/y', { x: '-> ../../../..' }, '/y'],
  ['.. in the middle', 'x', { x: '-> /a/../../b' }, '/b'],
  ['a symlink to .', 'x/y', { x: '-> .' }, '/y'],
  ['doubled slashes', 'x/y', { x: '-> //a//b/' }, '/a/b/y'],
  ['a relative escape before an absolute link', 'a', { a: '-> ../../x', x: '-> /etc' }, '/etc'],
  ['a chain', 'a', { a: '-> b', b: '-> c', c: '-> d' }, '/d'],
  ['.. out of a symlink', 'a', { a: '-> b/..', b: '-> c/d', c: 'dir' }, '/c'],
]

describe('resolveDirectory', () => {
  for (const [what, path, model, real] of cases)
    it(`follows ${what}`, () => assert.equal(resolve(path, model), real))

  it('follows 255 symlinks and refuses 256', () => {
    const chainOf = (length: number): Model =>
      Object.fromEntries(Array.from({ length }, (_, hop) => [`l${hop}`, `-> l${hop + 1}`]))
    assert.equal(resolve('l0', chainOf(255)), '/l255')
    assert.throws(() => resolve('l0', chainOf(256)), { code: 'invalid', message: /more than 255 symlinks/ })
  })

  it('refuses a loop (S-9)', () =>
    assert.throws(() => resolve('a/f', { a: '-> b', b: '-> a' }), { code: 'invalid' }))

  it('refuses a path that symlinks multiply beyond bounds', () => {
    const long = './'.repeat(100)
    const model = Object.fromEntries(
      Array.from({ length: 50 }, (_, hop) => [`l${hop}`, `-> ${long}l${hop + 1}`]),
    )
    assert.throws(() => resolve('l0', model), { code: 'invalid', message: /more than 4096 directories/ })
  })

  it('refuses a file on the way (R9)', () =>
    assert.throws(() => resolve('a/b', { a: 'file' }), {
      code: 'invalid',
      message: /"a" on the way to "a\/b"/,
    }))

  it('refuses .zfs at the root, however it is reached (S-36)', () => {
    for (const [path, model] of [
      ['.zfs/snapshot', {}],
      ['z', { z: '-> .zfs/snapshot' }],
      ['a/z', { a: 'dir', 'a/z': '-> ../.zfs' }],
    ] as const)
      assert.throws(() => resolve(path, model), { code: 'invalid', message: /ZFS's control directory/ })
    assert.equal(resolve('a/.zfs', { a: 'dir' }), '/a/.zfs')
  })
})
