import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe('A registry that checks itself', () => {
  it('begins a pass by itself, tells of what is damaged, and its metrics count it', async () => {
    await using directory = await temporaryDirectory()
    const config = join(directory.path, 'config.yaml')
    await writeFile(config, 'scrub: { intervalSeconds: 1 }\n')
    await using registry = await serveRegistry(directory.path, '--config', config)
    const client = new RegistryClient(registry.url)
    const metadata = await openSqliteMetadata(join(directory.path, 'registry', 'varve.db'))
    await using _metadata = metadata
    // The first pass, over nothing, may have ended before there was anything.
    while ((await metadata.scrubState()).endedAt === null) await soon()
    const digest = await client.pushBlob('acme/app', Buffer.from('to be damaged'))
    const { objectKey } = await metadata.findBlob(parseRepositoryName('acme/app'), digest)
    const objects = await FilesystemObjectStore.open(join(directory.path, 'registry'))
    await objects.put(objectKey, Buffer.from('to be damageD'))
    await metadata.requestScrub(false)
    while ((await metadata.findFault(digest)) === undefined) await soon()
    const isTold = () =>
      registry.lines().some(line => line['digest'] === digest && line['kind'] === 'corrupt')
    while (!isTold()) await soon()
    assert.equal((await client.send('GET', `/v2/acme/app/blobs/${digest}`)).status, 404)
    for (;;) {
      const text = await (await fetch(`${registry.debugUrl}/metrics`)).text()
      if (/^varve_scrub_quarantined_blobs\{kind="corrupt"\} 1$/m.test(text)) {
        assert.match(text, /^varve_scrub_found_total\{kind="corrupt"\} 1$/m)
        assert.match(text, /^varve_scrub_stopped 0$/m)
        break
      }
      await soon()
    }
    assert.equal(await registry.stop(), 0)
  })
})

function soon(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 50))
}
