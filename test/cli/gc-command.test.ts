import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { GcExplanationView, GcStatusView } from '../../src/registry/admin/gc-views.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName, parseTag } from '../../src/storage/reference.ts'
import { commitText, imageManifest, indexOf } from '../support/records.ts'
import { runVarve } from '../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { makeDirectories } from '../../src/storage/make-directories.ts'

describe('varve gc', () => {
  const repository = parseRepositoryName('acme/app')
  const layer = digestOf(Buffer.from('layer'))
  const image = imageManifest({ config: layer, layers: [layer] })
  const index = { ...indexOf([image.digest], 'all'), tags: [parseTag('v1')] }
  const signature = imageManifest({ config: layer, subject: index.digest, annotations: { a: 'b' } })
  const old = digestOf(Buffer.from('old'))
  let directory: TemporaryDirectory

  before(async () => {
    directory = await temporaryDirectory()
    await makeDirectories(join(directory.path, 'registry'))
    const path = join(directory.path, 'registry', 'varve.db')
    const long = Date.now() - 48 * 60 * 60 * 1000
    {
      await using metadata = await openSqliteMetadata(path, { now: () => long })
      await commitText(metadata, repository, 'old', long)
    }
    await using metadata = await openSqliteMetadata(path)
    await commitText(metadata, repository, 'layer', Date.now())
    await commitText(metadata, repository, 'loose', Date.now())
    for (const manifest of [image, index, signature]) await metadata.putManifest(repository, manifest)
  })
  after(() => directory.remove())

  const gc = (...args: readonly string[]) => runVarve(['gc', ...args, '--data', directory.path])
  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await gc(...args)
    assert.equal(code, 0, stderr)
    return stdout
  }

  it('explains by a path from a tag why something is kept', async () => {
    const text = await ok('explain', layer)
    assert.ok(text.includes(`acme/app:v1 -> ${index.digest} -> ${image.digest} -> ${layer}`), text)
    assert.match(await ok('explain', image.digest), /kept because acme\/app:v1 -> sha256:\w+ -> sha256:\w+\n/)
  })

  it('explains what nothing names, and what nobody has', async () => {
    assert.match(
      await ok('explain', digestOf(Buffer.from('loose'))),
      /named by no manifest; it goes after 20/,
    )
    const { holdings } = JSON.parse(await ok('explain', signature.digest, '--json')) as GcExplanationView
    assert.equal(holdings[0]?.subject, index.digest)
    const { code, stderr } = await gc('explain', digestOf(Buffer.from('nobody')))
    assert.equal(code, 3)
    assert.match(stderr, /Nothing here has the digest/)
  })

  it('runs, unless it is paused, and says what went', async () => {
    await ok('pause')
    const { code, stderr } = await gc('run')
    assert.equal(code, 5)
    assert.match(stderr, /paused; let it go on with `varve gc resume`/)
    assert.match(await ok('status'), /collection +paused by system:\w+ since/)
    await ok('resume')
    assert.match(await ok('run'), /0 manifests, 1 link, 1 blob \(3 B\) and 0 repositories gone; 0 objects/)
    assert.match(await ok('explain', old), /its object is deleted after/)
    const status = JSON.parse(await ok('status', '--json')) as GcStatusView
    assert.deepEqual(
      [status.isEnabled, status.totals.blobs, status.waiting.objects, status.waiting.bytes],
      [true, 1, 1, 3],
    )
  })
})
