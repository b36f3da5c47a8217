/** `varve serve` on a real S3 server, as its configuration describes it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { exec } from '../support/process.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { type S3TestServer, skipWithoutS3, startS3Server } from '../support/s3-server.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { varveProgram } from '../support/varve.ts'

const mebibyte = 1024 * 1024

describe('a registry whose objects are in S3', { skip: await skipWithoutS3('versitygw') }, () => {
  let directory: TemporaryDirectory
  let server: S3TestServer
  let registry: ServedRegistry
  let client: RegistryClient
  let config: string

  before(async () => {
    directory = await temporaryDirectory()
    server = await startS3Server('versitygw')
    config = join(directory.path, 'varve.yaml')
    await writeFile(join(directory.path, 'secret'), `${server.credentials.secretAccessKey}\n`)
    await writeFile(config, configuration(server, join(directory.path, 'secret')))
    registry = await serveRegistry(directory.path, '--config', config)
    client = new RegistryClient(registry.url)
  })
  after(async () => {
    await registry.stop()
    await server.stop()
    await directory.remove()
  })

  for (const [what, bytes] of [
    ['small', randomBytes(1000)],
    ['in several parts', randomBytes(20 * mebibyte + 1)],
    ['empty', Buffer.alloc(0)],
  ] as const)
    it(`gives back a blob that is ${what}, from the registry and from where it redirects to`, async () => {
      const digest = await client.pushBlob('team/app', bytes)
      const path = `/v2/team/app/blobs/${digest}`
      const head = await client.send('HEAD', path)
      assert.equal(head.headers['content-length'], String(bytes.length))

      const answer = await client.send('GET', path)
      assert.equal(answer.status, 307)
      const direct = await fetch(String(answer.headers['location']))
      assert.equal(direct.status, 200)
      assert.equal(digestOf(Buffer.from(await direct.arrayBuffer())), digest)

      const followed = await fetch(registry.url + path)
      assert.equal(digestOf(Buffer.from(await followed.arrayBuffer())), digest)
    })

  it('sends the blob itself to a client that cannot reach the store', async () => {
    const bytes = randomBytes(6 * mebibyte)
    const digest = await client.pushBlob('team/app', bytes)
    const { status, bytes: got } = await client.send('GET', `/v2/team/app/blobs/${digest}`, {
      headers: { 'x-forwarded-for': '192.0.2.9' },
    })
    assert.equal(status, 200)
    assert.deepEqual(got, bytes)
  })

  it('counts its requests to the store', async () => {
    const text = await (await fetch(`${registry.debugUrl}/metrics`)).text()
    assert.match(text, /^varve_object_store_requests_total\{operation="PutObject",code="200"\} [1-9]/m)
    assert.match(text, /^varve_object_store_bytes_total\{operation="GetObject"\} [1-9]/m)
    assert.match(text, /^registry_storage_action_seconds_count\{driver="s3",action="UploadPart"\} [1-9]/m)
  })

  it('shows no secret in its configuration, and says what the store can do', async () => {
    const shown = await exec(varveProgram, ['config', 'check', '--config', config, '--data', directory.path])
    assert.match(shown, /storage\.s3\.secretAccessKey +"\(secret\)"/)
    assert.ok(!shown.includes(server.credentials.secretAccessKey))
    const checks = await exec(varveProgram, ['storage', 'check', '--config', config, '--json'])
    assert.equal((JSON.parse(checks) as { isUsable: boolean }).isUsable, true)
  })

  it('names bucket and way out when the store refuses, and never the secret', async () => {
    const wrong = join(directory.path, 'wrong.yaml')
    await writeFile(join(directory.path, 'other'), 'not-the-secret')
    await writeFile(wrong, configuration(server, join(directory.path, 'other')))
    await assert.rejects(exec(varveProgram, ['storage', 'check', '--config', wrong]), error => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /exit status 6/)
      assert.doesNotMatch(error.message, /not-the-secret|node:internal/)
      return true
    })
  })
})

function configuration({ endpoint, region, bucket, credentials }: S3TestServer, secretFile: string): string {
  return JSON.stringify({
    registry: { trustedProxies: ['127.0.0.1'] },
    storage: {
      driver: 's3',
      redirect: true,
      redirectExcept: ['192.0.2.0/24'],
      s3: {
        endpoint,
        region,
        bucket,
        prefix: 'varve/',
        accessKeyId: credentials.accessKeyId,
        secretAccessKeyFile: secretFile,
      },
    },
  })
}
