import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { blobDataPath, mayMatter, placeOf } from '../../../src/storage/adopt/legacy-layout.ts'
import { repositoriesIn } from '../../../src/storage/adopt/legacy-repository.ts'
import type { LegacyEntry } from '../../../src/storage/adopt/legacy-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'

const digest = digestOf(Buffer.from('x'))
const hex = digest.slice('sha256:'.length)

describe('paths of the old layout', () => {
  it('say where the bytes of a digest are', () => {
    assert.equal(blobDataPath(digest), `blobs/sha256/${hex.slice(0, 2)}/${hex}/data`)
  })

  for (const [path, repository, fact] of [
    [`a/_layers/sha256/${hex}/link`, 'a', { kind: 'layer', digest }],
    [`a/b/c/_manifests/revisions/sha256/${hex}/link`, 'a/b/c', { kind: 'revision', digest }],
    ['a/_manifests/tags/v1.0/current/link', 'a', { kind: 'tag', tag: 'v1.0' }],
    ['a/_uploads/5c0f/startedat', 'a', { kind: 'upload', id: '5c0f' }],
    [`a/_manifests/tags/v1/index/sha256/${hex}/link`, 'a', { kind: 'nothing' }],
    [`a/_manifests/revisions/sha256/${hex}/signatures/sha256/${hex}/link`, 'a', { kind: 'nothing' }],
    [`a/_layers/tarsum/v1/sha256/${hex}/link`, 'a', { kind: 'nothing' }],
    ['A b/_uploads/x/data', 'A b', { kind: 'upload', id: 'x' }],
    ['a/_other/link', 'a', { kind: 'nothing' }],
  ] as const)
    it(`knows ${path.replaceAll(hex, 'HEX')}`, () => {
      assert.deepEqual(placeOf(path), { repository, fact })
    })

  it('tell names that are no digest and no tag', () => {
    for (const path of [
      'a/_layers/sha256/abc/link',
      `a/_layers/md5/${hex}/link`,
      `a/_manifests/revisions/sha256/${hex.toUpperCase()}/link`,
      'a/_manifests/tags/../current/link',
      'a/_manifests/tags/-x/current/link',
    ])
      assert.equal(placeOf(path)?.fact.kind, 'nonsense', path)
  })

  it('are of no repository without a name', () => {
    for (const path of ['stray', '_layers/x', '', 'a/b']) assert.equal(placeOf(path), undefined, path)
  })

  it('are whatever they are: nothing is thrown', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('_layers', '_manifests', 'tags', '..'))),
        parts => {
          placeOf(parts.join('/'))
          mayMatter(parts.join('/'))
        },
      ),
    )
  })

  it('leave out no directory that leads to something', () => {
    for (const path of [
      `repositories/a/b/_layers/sha256/${hex}/link`,
      `repositories/a/_manifests/revisions/sha256/${hex}/link`,
      'repositories/a/_manifests/tags/t/current/link',
      'repositories/a/_uploads/x/data',
    ])
      for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1))
        assert.ok(mayMatter(path.slice(0, end)), path.slice(0, end))
    assert.equal(mayMatter('repositories/a/_manifests/tags/t/index'), false)
    assert.equal(mayMatter(`repositories/a/_manifests/revisions/sha256/${hex}/signatures`), false)
    assert.equal(mayMatter('repositories/a/_uploads/x/hashstates'), false)
  })
})

describe('repositories of a listing', () => {
  const file = (path: string): LegacyEntry => ({
    kind: 'file',
    path: `repositories/${path}`,
    size: 71,
    changedAt: new Date(0),
  })

  it('are told one after another, nested ones apart', async () => {
    const found = await Array.fromAsync(
      repositoriesIn([
        file(`a/1/_layers/sha256/${hex}/link`),
        file(`a/_layers/sha256/${hex}/link`),
        file('a/_manifests/tags/t/current/link'),
        file('a/_uploads/x/data'),
        file('a/_uploads/x/startedat'),
        file('a/_uploads/y/startedat'),
        file('a/b/_manifests/tags/u/current/link'),
        file('stray'),
      ]),
    )
    const summary = found.map(one =>
      one.kind === 'repository'
        ? [
            one.repository.name,
            one.repository.layers.size,
            [...one.repository.tags.keys()],
            one.repository.uploads,
          ]
        : one,
    )
    assert.deepEqual(summary, [
      ['a/1', 1, [], 0],
      ['a', 1, ['t'], 2],
      ['a/b', 0, ['u'], 0],
    ])
  })

  it('come with what was not read in them', async () => {
    const refusal = { kind: 'refusal', path: 'repositories/a/_layers', reason: 'it is a symlink' } as const
    const outside = { kind: 'refusal', path: 'repositories/b', reason: 'it is a symlink' } as const
    const found = await Array.fromAsync(repositoriesIn([refusal, outside]))
    const all = found.flatMap(one => (one.kind === 'repository' ? [...one.repository.refusals] : [one]))
    assert.deepEqual(new Set(all), new Set([refusal, outside]))
  })
})
