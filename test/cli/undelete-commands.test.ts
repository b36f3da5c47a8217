import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { DeletedManifestView, TagChangeView, TagView } from '../../src/registry/admin/history-views.ts'
import { makeDirectories } from '../../src/storage/make-directories.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName, parseTag } from '../../src/storage/reference.ts'
import { commitText, imageManifest, indexOf, looseManifest } from '../support/records.ts'
import { runVarve } from '../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

describe('varve tag and varve manifest', () => {
  const repository = parseRepositoryName('acme/app')
  let directory: TemporaryDirectory
  let image: ReturnType<typeof imageManifest>
  let index: ReturnType<typeof indexOf>
  let layer: string
  const next = looseManifest('next', 'v1')

  before(async () => {
    directory = await temporaryDirectory()
    await makeDirectories(join(directory.path, 'registry'))
    await using metadata = await openSqliteMetadata(join(directory.path, 'registry', 'varve.db'))
    const blob = await commitText(metadata, repository, 'layer', Date.now())
    layer = blob.digest
    image = imageManifest({ config: blob.digest, layers: [blob.digest] })
    index = { ...indexOf([image.digest], 'all'), tags: [parseTag('v1')] }
    for (const manifest of [image, index, next]) await metadata.putManifest(repository, manifest)
    for (const { digest } of [image, index]) await metadata.deleteManifest(repository, digest)
  })
  after(() => directory.remove())

  const run = (...args: readonly string[]) => runVarve([...args, '--data', directory.path])
  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...args)
    assert.equal(code, 0, stderr)
    return stdout
  }
  const json = async <View>(...args: readonly string[]) => JSON.parse(await ok(...args, '--json')) as View

  it('say what a deleted manifest and its blobs are kept for', async () => {
    assert.match(
      await ok('gc', 'explain', index.digest),
      /^acme\/app: manifest, deleted at 20\S+Z, can be taken back until 20\S+Z\n/,
    )
    const why = new RegExp(
      `blob, kept because the manifest ${image.digest}, deleted at 20\\S+, can be taken back`,
    )
    assert.match(await ok('gc', 'explain', layer), why)
  })

  it('list what was deleted, and what a tag named', async () => {
    const deleted = await json<DeletedManifestView[]>('manifest', 'deleted', 'acme/app')
    assert.deepEqual(
      new Map(deleted.map(({ digest, isRestorable }) => [digest, isRestorable])),
      new Map([
        [index.digest, true],
        [image.digest, true],
      ]),
    )
    const changes = await json<TagChangeView[]>('tag', 'history', 'acme/app:v1')
    assert.deepEqual(
      changes.map(({ cause, digest, previous }) => [cause, digest, previous]),
      [
        ['push', next.digest, index.digest],
        ['push', index.digest, null],
      ],
    )
    assert.match(await ok('tag', 'history', 'acme/app:v1'), /pushed +sha256:/)
    assert.match(await ok('tag', 'history', 'acme/app:other'), /nothing is remembered of acme\/app:other/)
  })

  it('set a tag back to what was deleted', async () => {
    assert.match(
      await ok('tag', 'restore', 'acme/app:v1'),
      new RegExp(`acme/app:v1 is ${index.digest} again, no longer ${next.digest}; the manifest, which was`),
    )
    const tags = await json<TagView[]>('tag', 'list', 'acme/app')
    assert.deepEqual(
      tags.map(({ tag, digest }) => [tag, digest]),
      [['v1', index.digest]],
    )
    assert.match(await ok('manifest', 'deleted', 'acme/app'), /nothing that could be taken back/)
    assert.match(await ok('tag', 'restore', 'acme/app:v1', '--digest', index.digest), /is sha256:\w+ already/)
    const [change] = await json<TagChangeView[]>('tag', 'history', 'acme/app:v1')
    assert.match(change?.account ?? '', /^system:/)
  })

  it('delete a tag, and bring manifests back or let them go', async () => {
    assert.match(await ok('tag', 'rm', 'acme/app:v1'), /deleted acme\/app:v1/)
    {
      await using metadata = await openSqliteMetadata(join(directory.path, 'registry', 'varve.db'))
      await metadata.deleteManifest(repository, next.digest)
    }
    const other = `acme/app@${next.digest}`
    assert.match(await ok('manifest', 'restore', other), /is back/)
    const { code, stderr } = await run('manifest', 'purge', other)
    assert.equal(code, 3)
    assert.match(stderr, /no deleted manifest/)
    {
      await using metadata = await openSqliteMetadata(join(directory.path, 'registry', 'varve.db'))
      await metadata.deleteManifest(repository, next.digest)
    }
    assert.match(await ok('manifest', 'purge', other), /is gone/)
    assert.equal((await run('manifest', 'restore', other)).code, 3)
  })

  it('say what is wrong', async () => {
    for (const [args, expected] of [
      [['tag', 'history', other()], /does not name a tag/],
      [['tag', 'rm', 'acme/app'], /does not name a tag/],
      [['manifest', 'purge', 'acme/app:v1'], /does not name a manifest/],
      [['tag', 'restore', 'acme/app:never'], /Nothing is remembered of a tag never/],
      [['tag', 'list', 'acme/absent'], /acme\/absent does not exist/],
    ] as const) {
      const { code, stderr } = await run(...args)
      assert.notEqual(code, 0)
      assert.match(stderr, expected)
    }
  })

  function other(): string {
    return `acme/app@${next.digest}`
  }
})
