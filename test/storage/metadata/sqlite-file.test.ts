import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseReference, parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { commitText, freshRepository, imageManifest, looseManifest } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const run = promisify(execFile)
const fixture = fileURLToPath(new URL('../../fixtures/programs/put-manifests.ts', import.meta.url))

describe('A SQLite database', () => {
  it('has everything when it is opened again', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    const repository = freshRepository()
    const manifest = await (async () => {
      await using metadata = await openSqliteMetadata(path)
      const { digest } = await commitText(metadata, repository, 'layer', Date.now())
      const manifest = imageManifest({ config: digest, tags: ['kept'] })
      await metadata.putManifest(repository, manifest)
      return manifest
    })()
    await using again = await openSqliteMetadata(path)
    const stored = await again.getManifest(repository, parseReference('kept'))
    assert.deepEqual(Buffer.from(stored.bytes), Buffer.from(manifest.bytes))
    await rejectsWith(
      'conflict',
      again.unlinkBlob(repository, manifest.edges[0]?.descriptor.digest ?? stored.digest),
    )
  })

  it('is shared by two connections', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    const opened = await Promise.all([openSqliteMetadata(path), openSqliteMetadata(path)])
    await using one = opened[0]
    await using two = opened[1]
    const repository = freshRepository()
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? one : two).putManifest(repository, looseManifest(`${index}`, `tag-${index}`)),
      ),
    )
    assert.equal((await one.listTags(repository, { limit: 100 })).length, 20)
    await one.deleteTag(repository, parseTag('tag-7'))
    await rejectsWith('not_found', two.statManifest(repository, parseReference('tag-7')))
  })

  it('is shared by processes that start and write at the same time', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    await Promise.all(['a', 'b', 'c'].map(name => run(process.execPath, [fixture, path, name, '20'])))
    await using metadata = await openSqliteMetadata(path)
    const tags = await metadata.listTags(parseRepositoryName('shared'), { limit: 100 })
    assert.equal(tags.length, 60)
  })

  it('keeps what was acknowledged when its process is killed', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    const { stdout } = await run(process.execPath, [fixture, path, 'doomed', '10', 'die']).catch(
      (error: { stdout: string }) => error,
    )
    await using metadata = await openSqliteMetadata(path)
    const tags: readonly string[] = await metadata.listTags(parseRepositoryName('shared'), { limit: 100 })
    assert.deepEqual(tags, stdout.trim().split('\n').toSorted())
  })

  it('says what is wrong with its file', async () => {
    await using directory = await temporaryDirectory()
    const inDirectory = (name: string) => join(directory.path, name)
    await writeFile(
      inDirectory('text'),
      'this is not a database, and long enough to be read as one'.repeat(50),
    )
    await mkdir(inDirectory('directory'))
    for (const name of ['text', 'directory', 'absent/varve.db']) {
      const error = await rejectsWith('unavailable', openSqliteMetadata(inDirectory(name)))
      assert.ok(error.message.includes(inDirectory(name)), error.message)
      assert.equal(error.details.resource, 'database')
    }
  })

  it('says that its file is not writable', async context => {
    if (process.getuid?.() !== 0) return context.skip('needs root, to become somebody without rights')
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    await (await openSqliteMetadata(path))[Symbol.asyncDispose]()
    await chmod(directory.path, 0o755)
    process.seteuid?.(65534)
    try {
      const error = await rejectsWith('unavailable', openSqliteMetadata(path))
      assert.match(error.message, /writable/)
    } finally {
      process.seteuid?.(0)
    }
  })
})
