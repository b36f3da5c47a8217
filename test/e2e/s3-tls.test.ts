/** `varve serve` on a store whose certificate an authority of one's own has signed. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Agent, request } from 'undici'
import { digestOf } from '../../src/storage/digest.ts'
import { TestAuthority } from '../support/certificates.ts'
import { exec } from '../support/process.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { type S3TestServer, s3ServerKinds, skipWithoutS3, startS3Server } from '../support/s3-server.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { varveProgram } from '../support/varve.ts'

const mebibyte = 1024 * 1024

for (const kind of s3ServerKinds)
  describe(`a registry on ${kind} over TLS`, { skip: await skipWithoutS3(kind) }, () => {
    let directory: TemporaryDirectory
    let authority: TestAuthority
    let server: S3TestServer
    before(async () => {
      directory = await temporaryDirectory()
      authority = await TestAuthority.create()
      const pair = await authority.issue({
        subject: '/CN=store',
        names: [
          { kind: 'ip', value: '127.0.0.1' },
          { kind: 'dns', value: 'localhost' },
        ],
        use: 'serverAuth',
      })
      server = await startS3Server(kind, { tls: { ...pair, ca: authority.cert } })
    })
    after(async () => {
      await server.stop()
      await directory.remove()
    })

    async function configWith(name: string, s3: object, storage: object = {}): Promise<string> {
      const path = join(directory.path, `${name}.json`)
      const { endpoint, region, bucket, caFile } = server
      const { accessKeyId, secretAccessKey } = server.credentials
      const access = { endpoint, region, bucket, caFile, accessKeyId, secretAccessKey, ...s3 }
      const content = { data: directory.path, storage: { driver: 's3', ...storage, s3: access } }
      await writeFile(path, JSON.stringify(content), { mode: 0o600 })
      return path
    }

    it('keeps blobs there, and redirects to where a client that trusts the authority can read them', async () => {
      const publicEndpoint = server.endpoint.replace('127.0.0.1', 'localhost')
      const config = await configWith('good', { publicEndpoint }, { redirect: true })
      await using registry = await serveRegistry(directory.path, '--config', config)
      const client = new RegistryClient(registry.url)
      const trusting = new Agent({ connect: { ca: await readFile(String(server.caFile), 'utf8') } })
      for (const size of [0, 1000, 20 * mebibyte + 1]) {
        const bytes = randomBytes(size)
        const path = `/v2/team/app/blobs/${await client.pushBlob('team/app', bytes)}`
        const { status, headers } = await client.send('GET', path)
        assert.equal(status, 307)
        const location = String(headers['location'])
        assert.ok(location.startsWith(`${publicEndpoint}/`), location)
        const { statusCode, body } = await request(location, { dispatcher: trusting })
        assert.equal(statusCode, 200)
        assert.ok(Buffer.from(await body.arrayBuffer()).equals(bytes))
        await assert.rejects(fetch(location), 'a client that does not trust it')
      }
      await trusting.close()
      const checks = await exec(varveProgram, ['storage', 'check', '--config', config, '--json'])
      assert.equal((JSON.parse(checks) as { isUsable: boolean }).isUsable, true)
    })

    it('sends blobs itself, each byte of them', async () => {
      const config = await configWith('through', {}, { cacheBytes: 0 })
      await using registry = await serveRegistry(directory.path, '--config', config)
      const client = new RegistryClient(registry.url)
      for (const size of [1000, 20 * mebibyte + 1]) {
        const bytes = randomBytes(size)
        const path = `/v2/team/app/blobs/${await client.pushBlob('team/app', bytes)}`
        assert.equal(digestOf((await client.send('GET', path)).bytes), digestOf(bytes))
        const part = await client.send('GET', path, { headers: { range: 'bytes=10-999' } })
        assert.ok(part.bytes.equals(bytes.subarray(10, 1000)))
      }
    })

    it('says 503, and in its log and at a check why, where the authority was not told', async () => {
      const config = await configWith('untold', { caFile: undefined }, { cacheBytes: 0 })
      await using registry = await serveRegistry(directory.path, '--config', config)
      const client = new RegistryClient(registry.url)
      const bytes = randomBytes(1000)
      const push = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`
      const { status, headers, codes, bytes: said } = await client.send('POST', push, { body: bytes })
      assert.deepEqual([status, codes], [503, ['UNAVAILABLE']])
      assert.match(String(headers['retry-after']), /^\d+$/)
      assert.doesNotMatch(said.toString(), /127\.0\.0\.1/)
      const logged = JSON.stringify(registry.lines())
      assert.match(logged, /Nobody that is trusted here has signed .* storage\.s3\.caFile/)
      assert.ok(!logged.includes(server.credentials.secretAccessKey))
      assert.equal((await fetch(`${registry.debugUrl}/readyz`)).status, 503)
      await assert.rejects(exec(varveProgram, ['storage', 'check', '--config', config]), /exit status 6/)
    })
  })
