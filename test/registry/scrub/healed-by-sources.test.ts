import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName, type RepositoryName } from '../../../src/storage/reference.ts'
import { pull } from '../../support/blob-pull.ts'
import { BlobUpstream, BlobUpstreamSource } from '../../support/blob-upstream.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { proxiedName, startProxiedRegistry } from '../../support/proxied-registry.ts'
import { runVarve } from '../../support/run-varve.ts'
import { serveRegistry } from '../../support/served-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

async function quarantine(metadata: Metadata, repository: RepositoryName, bytes: Buffer): Promise<void> {
  const blob = await metadata.findBlob(repository, digestOf(bytes))
  assert.ok(await metadata.quarantineBlob({ ...blob, kind: 'corrupt', detail: 'the test says so' }))
}

describe('A damaged copy', () => {
  it('of an upstream is fetched from it again, by the first who asks', async () => {
    const bytes = randomBytes(200_000)
    const digest = digestOf(bytes)
    await using upstream = await BlobUpstream.start()
    await using registry = await startProxiedRegistry(new BlobUpstreamSource(upstream.port))
    upstream.add(bytes, digest)
    assert.ok((await pull(registry.url, digest)).bytes.equals(bytes))
    while (registry.fetched.length === 0) await new Promise(resolve => setTimeout(resolve, 10))
    const { objectKey } = await registry.metadata.findBlob(proxiedName, digest)
    await quarantine(registry.metadata, proxiedName, bytes)
    assert.ok((await pull(registry.url, digest)).bytes.equals(bytes))
    while ((await registry.metadata.findFault(digest)) !== undefined)
      await new Promise(resolve => setTimeout(resolve, 10))
    assert.notEqual((await registry.metadata.findBlob(proxiedName, digest)).objectKey, objectKey)
    while (registry.fetched.length < 2) await new Promise(resolve => setTimeout(resolve, 10))
  })

  it('of a mirror job comes again with its next run, though its tag is the same', async () => {
    await using directory = await temporaryDirectory()
    const data = join(directory.path, 'target')
    await using source = await serveRegistry(join(directory.path, 'source'))
    const pusher = new ImagePusher(source.url)
    const layers = ['one', 'two', 'three'].map(() => randomBytes(30_000))
    const [one, two, three] = layers
    if (!one || !two || !three) assert.fail()
    await pusher.image('acme/web', 'v1', { layers: [one, two] })
    await pusher.image('acme/web', 'v2', { layers: [three] })
    const { host } = new URL(source.url)
    for (const [name, more] of [
      ['plain', ''],
      ['fixed', 'tags: { immutable: [".*"] }\n'],
      ['alone', 'referrers: { include: false }\n'],
    ] as const) {
      const job = join(directory.path, `${name}.yaml`)
      await writeFile(
        job,
        `name: ${name}\nsource: { registry: "${host}" }\ntarget: { prefix: ${name}/ }\nrepositories: [acme/web]\n${more}`,
      )
      const run = async (): Promise<string> => {
        const { code, stdout, stderr } = await runVarve(['mirror', 'run', '--file', job, '--data', data])
        assert.equal(code, 0, stdout + stderr)
        return stdout
      }
      await run()
      const repository = parseRepositoryName(`${name}/acme/web`)
      await using metadata = await openSqliteMetadata(join(data, 'registry', 'varve.db'))
      for (const bytes of [two, three]) await quarantine(metadata, repository, bytes)
      await run()
      for (const bytes of layers) assert.ok(await metadata.findBlob(repository, digestOf(bytes)), name)
      assert.deepEqual(await metadata.listFaults(undefined, 9), [])
      assert.equal((await metadata.scrubState()).totals.corrupt % 2, 0)
    }
  })
})
