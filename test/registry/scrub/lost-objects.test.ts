import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { globSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../../src/storage/digest.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { serveRegistry } from '../../support/served-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

describe('a blob whose object is lost, and that nobody has read since', () => {
  for (const how of ['by one request', 'by a session'] as const)
    it(`is brought back ${how} that is repeated, and by none that is told 201 for nothing`, async () => {
      await using directory = await temporaryDirectory()
      await using registry = await serveRegistry(directory.path)
      const client = new RegistryClient(registry.url)
      const bytes = randomBytes(10_000)
      const digest = digestOf(bytes)
      const push = async (): Promise<number> => {
        if (how === 'by one request')
          return (await client.send('POST', `/v2/acme/app/blobs/uploads/?digest=${digest}`, { body: bytes }))
            .status
        const { pathname } = new URL(await client.startUpload('acme/other'), registry.url)
        return (await client.send('PUT', `${pathname}?digest=${digest}`, { body: bytes })).status
      }
      const pull = () => client.send('GET', `/v2/acme/app/blobs/${digest}`)
      await client.pushBlob('acme/app', bytes)
      for (const path of globSync(join(directory.path, '**')))
        if (statSync(path).size === bytes.length) unlinkSync(path)

      assert.equal(await push(), 503)
      while ((await push()) === 503) await sleep(20)
      assert.deepEqual((await pull()).bytes, bytes)
    })
})
