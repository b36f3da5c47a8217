/** `varve serve` with credentials from the SDK's chain: the environment, a profile, and a service that rotates them. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../src/storage/digest.ts'
import { eventuallyWithin } from '../support/eventually.ts'
import { type Answer, RegistryClient } from '../support/registry-client.ts'
import { type S3TestServer, skipWithoutS3, startS3Server } from '../support/s3-server.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { assumeRole } from '../support/sts.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** The SDK takes new ones when the old ones are good for less than five minutes. */
const fiveMinutes = 300_000
const unknown: Keys = { accessKeyId: 'NOBODY', secretAccessKey: 'not-the-secret', sessionToken: 'no-token' }

describe("A registry with credentials of the SDK's chain", { skip: await skipWithoutS3('minio') }, () => {
  let server: S3TestServer
  let directory: TemporaryDirectory
  const secrets = [unknown.secretAccessKey, 'no-token']
  before(async () => {
    directory = await temporaryDirectory()
    server = await startS3Server('minio')
    secrets.push(server.credentials.secretAccessKey)
  })
  after(async () => {
    await server.stop()
    await directory.remove()
  })

  /** In a process that has these variables; its log has none of the secrets in the end. */
  async function withVariables(
    variables: Readonly<Record<string, string>>,
    test: (client: RegistryClient, registry: ServedRegistry) => Promise<void>,
  ): Promise<void> {
    const config = join(directory.path, 'varve.json')
    const { endpoint, region, bucket } = server
    const storage = { driver: 's3', cacheBytes: 0, s3: { endpoint, region, bucket } }
    await writeFile(config, JSON.stringify({ storage }))
    // Elsewhere the chain would ask this machine's metadata service in the end.
    const all = { AWS_EC2_METADATA_DISABLED: 'true', ...variables }
    Object.assign(process.env, all)
    try {
      await using registry = await serveRegistry(directory.path, '--config', config)
      await test(new RegistryClient(registry.url), registry)
      const lines = registry.lines()
      assert.deepEqual(
        lines.filter(({ status }) => status === 500),
        [],
      )
      for (const secret of secrets) assert.ok(!JSON.stringify(lines).includes(secret), 'a secret in the log')
    } finally {
      for (const name of Object.keys(all)) delete process.env[name]
    }
  }

  const push = (client: RegistryClient, bytes = randomBytes(1000)): Promise<Answer> =>
    client.send('POST', `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`, { body: bytes })

  async function assertWorks(client: RegistryClient): Promise<void> {
    const bytes = randomBytes(1000)
    assert.equal((await push(client, bytes)).status, 201)
    const got = await client.send('GET', `/v2/team/app/blobs/${digestOf(bytes)}`)
    assert.ok(got.status === 200 && got.bytes.equals(bytes))
  }

  async function assertRefused(client: RegistryClient): Promise<void> {
    const { status, headers, codes, bytes } = await push(client)
    assert.deepEqual([status, codes], [503, ['UNAVAILABLE']])
    assert.match(String(headers['retry-after']), /^\d+$/)
    for (const secret of secrets) assert.ok(!bytes.includes(secret))
  }

  /** The chain is asked again every few seconds, once for all that use the store. */
  async function untilItWorks(client: RegistryClient, { debugUrl }: ServedRegistry): Promise<void> {
    for (let waits = 0; (await push(client)).status === 503; waits += 1) {
      assert.ok(waits < 1200, 'it does not come back')
      await sleep(100)
    }
    assert.equal((await fetch(`${debugUrl}/readyz`)).status, 200)
    await assertWorks(client)
  }

  const writeProfile = async (path: string, { accessKeyId, secretAccessKey, sessionToken }: Keys) => {
    const token = sessionToken === undefined ? '' : `aws_session_token = ${sessionToken}\n`
    const content = `[images]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n${token}`
    await writeFile(path, content, { mode: 0o600 })
  }

  it('takes those in the environment', async () => {
    const { accessKeyId, secretAccessKey } = server.credentials
    const variables = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
    await withVariables(variables, assertWorks)
  })

  it('takes those of a role in the environment, with their token', async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = await assumeRole(server)
    secrets.push(secretAccessKey, sessionToken)
    const variables = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
    await withVariables({ ...variables, AWS_SESSION_TOKEN: sessionToken }, assertWorks)
    await withVariables({ ...variables, AWS_SESSION_TOKEN: 'no-token' }, assertRefused)
  })

  it('takes those of a profile, and others that are written there later', async () => {
    const file = join(directory.path, 'credentials')
    await writeProfile(file, unknown)
    const variables = { AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: 'images' }
    await withVariables(variables, async (client, registry) => {
      await assertRefused(client)
      // The log comes by a pipe.
      await eventuallyWithin(120, 'a line of the log that names the bucket', () =>
        /does not accept the credentials for the bucket varve-test/.test(JSON.stringify(registry.lines())),
      )
      assert.equal((await fetch(`${registry.debugUrl}/readyz`)).status, 503)
      const role = await assumeRole(server)
      secrets.push(role.secretAccessKey, role.sessionToken)
      await writeProfile(file, role)
      await untilItWorks(client, registry)
    })
  })

  it('says 503 where there are none', async () => {
    await withVariables(
      { AWS_SHARED_CREDENTIALS_FILE: '/dev/null', AWS_CONFIG_FILE: '/dev/null' },
      async client => {
        await assertRefused(client)
      },
    )
  })

  it('takes new ones before the old ones expire, lives through a service that is away, and through wrong ones', async () => {
    let asked = 0
    let gives: 'role' | 'nothing' | 'wrong' = 'role'
    /** Milliseconds until the SDK wants others. */
    let goodForMs = 1000
    const given = new Set<string>()
    const service = createServer((request, response) => {
      asked += 1
      void (async () => {
        if (gives === 'nothing' || request.headers.authorization !== 'let me') {
          response.writeHead(500).end()
          return
        }
        const keys = gives === 'wrong' ? unknown : await assumeRole(server)
        secrets.push(keys.secretAccessKey, keys.sessionToken ?? '')
        given.add(keys.accessKeyId)
        const answer = {
          AccessKeyId: keys.accessKeyId,
          SecretAccessKey: keys.secretAccessKey,
          Token: keys.sessionToken,
          Expiration: new Date(Date.now() + fiveMinutes + goodForMs).toISOString(),
        }
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
      })()
    }).listen(0, '127.0.0.1')
    await once(service, 'listening')
    const { port } = service.address() as { port: number }
    const variables = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/role`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'let me',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_CONFIG_FILE: '/dev/null',
    }
    try {
      await withVariables(variables, async client => {
        // Each of them is good for a second, as far as the SDK knows; how many clients ask is its own affair.
        for (let turn = 0; turn < 4 || (turn < 20 && given.size < 3); turn += 1) {
          await Promise.all(Array.from({ length: 5 }, () => assertWorks(client)))
          await sleep(600)
        }
        assert.ok(given.size >= 3, `${given.size} credentials`)
        // Not for each request: those that are good for longer are kept.
        goodForMs = 3_600_000
        await sleep(1100)
        await assertWorks(client)
        await sleep(300)
        const soFar = asked
        for (let turn = 0; turn < 10; turn += 1) await assertWorks(client)
        assert.ok(asked - soFar <= 2, `asked ${asked - soFar} times for 20 requests`)
      })
      goodForMs = 1000
      await withVariables(variables, async client => {
        await assertWorks(client)
        gives = 'nothing'
        await sleep(1100)
        // These are good for five minutes more.
        for (let turn = 0; turn < 3; turn += 1) await assertWorks(client)
      })
      gives = 'wrong'
      await withVariables(variables, async (client, registry) => {
        await assertRefused(client)
        await assertRefused(client)
        gives = 'role'
        await untilItWorks(client, registry)
      })
      goodForMs = 3_600_000
      await withVariables(variables, async client => {
        const soFar = asked
        await Promise.all(Array.from({ length: 5 }, () => assertWorks(client)))
        assert.ok(asked - soFar <= 1, `asked ${asked - soFar} times by one store`)
      })
    } finally {
      service.close()
      service.closeAllConnections()
    }
  })
})
