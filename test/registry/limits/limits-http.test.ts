import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { request } from 'undici'
import { createLogger } from '../../../src/log.ts'
import { createRegistryApp } from '../../../src/registry/app.ts'
import { OpenAccess } from '../../../src/registry/auth/open-access.ts'
import type { BodyPace } from '../../../src/registry/body-pace.ts'
import { createLimits, type LimitSettings, shareOf } from '../../../src/registry/limits/limits.ts'
import { QuotaBlobStore } from '../../../src/registry/limits/quota-blob-store.ts'
import { putWithinQuota } from '../../../src/registry/limits/quota-manifests.ts'
import { TenantQuotas } from '../../../src/registry/limits/tenant-quotas.ts'
import { defaultServerTimeouts, listen } from '../../../src/registry/server.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { manifestOf, RegistryClient, withQuery } from '../../support/registry-client.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const noLimits: LimitSettings = {
  requestsPerSecond: 0,
  requestBurst: 1,
  loginsPerMinute: 600,
  bytesPerSecond: 0,
  uploads: 0,
}

interface Started extends AsyncDisposable {
  readonly client: RegistryClient
  readonly url: string
  readonly metadata: Metadata
  readonly limited: string[]
  readonly clock: { time: number | undefined }
}

async function start(limits: Partial<LimitSettings> = {}, bodyPace?: BodyPace): Promise<Started> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const metadata = stack.use(await openSqliteMetadata(join(directory.path, 'varve.db')))
  const objects = await FilesystemObjectStore.open(join(directory.path, 'objects'))
  const limited: string[] = []
  const clock: { time: number | undefined } = { time: undefined }
  const onLimited = (limit: string): void => void limited.push(limit)
  const quotas = new TenantQuotas({ records: metadata, onLimited })
  const app = createRegistryApp({
    blobs: new QuotaBlobStore(new ObjectBlobStore({ objects, metadata }), quotas),
    metadata: { ...metadata, putManifest: putWithinQuota(metadata, quotas) },
    security: {
      access: new OpenAccess(),
      limits: createLimits(
        { ...noLimits, ...limits },
        { onLimited, now: () => clock.time ?? performance.now() },
      ),
    },
    log: createLogger({ level: 'silent' }),
    bodyPace,
  })
  const server = await listen(
    app.callback(),
    { host: '127.0.0.1', port: 0 },
    { ...defaultServerTimeouts, stopMs: 1000 },
  )
  stack.defer(() => server.close())
  const owned = stack.move()
  return {
    client: new RegistryClient(server.url),
    url: server.url,
    metadata,
    limited,
    clock,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

function messageOf(bytes: Buffer): string {
  const { errors } = JSON.parse(bytes.toString()) as { errors: { message: string }[] }
  return errors[0]?.message ?? ''
}

describe('A quota over HTTP', () => {
  let started: Started
  beforeEach(async () => {
    started = await start()
    await started.metadata.createTenant({
      name: parseTenantName('acme'),
      quotaBytes: 1000,
      quotaRepositories: 1,
    })
  })
  afterEach(() => started[Symbol.asyncDispose]())

  it('lets docker push what there is room for', async () => {
    const { client } = started
    const [config, layer] = [Buffer.from('{}'), randomBytes(300)]
    for (const bytes of [config, layer]) {
      assert.equal((await client.send('HEAD', `/v2/acme/web/blobs/${digestOf(bytes)}`)).status, 404)
      const location = await client.startUpload('acme/web')
      const patched = await client.send('PATCH', location, { body: Readable.from([bytes]) })
      assert.equal(patched.status, 202)
      const closing = withQuery(patched.headers['location'] ?? '', 'digest', digestOf(bytes))
      assert.equal((await client.send('PUT', closing)).status, 201)
      assert.equal((await client.send('HEAD', `/v2/acme/web/blobs/${digestOf(bytes)}`)).status, 200)
    }
    assert.equal((await client.putManifest('acme/web', '1.0', manifestOf(config, [layer]))).status, 201)
  })

  it('refuses docker’s chunked PATCH with 403 DENIED and a sentence, and the session is gone', async () => {
    const { client } = started
    const location = await client.startUpload('acme/web')
    const refused = await client.send('PATCH', location, {
      body: Readable.from([randomBytes(700), randomBytes(700)]),
    })
    assert.equal(refused.status, 403)
    assert.deepEqual(refused.codes, ['DENIED'])
    assert.equal(refused.headers['content-type'], 'application/json')
    assert.match(
      messageOf(refused.bytes),
      /^The tenant acme has used .* of its quota of 1000 B; this push .*\. Delete images/,
    )
    assert.equal((await client.send('GET', location)).status, 404)
    // What docker does then.
    assert.equal((await client.send('DELETE', location)).status, 404)
    assert.deepEqual(started.limited, ['quota'])
  })

  it('refuses announced bodies of every kind before they are sent', async () => {
    const { client, url } = started
    const digest = digestOf(randomBytes(5000))
    const put = withQuery(await client.startUpload('acme/web'), 'digest', digest)
    const attempts = [
      ['PUT', put],
      ['PATCH', await client.startUpload('acme/web')],
      ['POST', `/v2/acme/web/blobs/uploads/?digest=${digest}`],
    ] as const
    for (const [method, path] of attempts) {
      // Only the announcement is sent: an answer comes nevertheless.
      const connection = await connectRaw(url)
      connection.socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n`)
      const answer = await connection.until(/needs 4\.9 KiB more/)
      connection.socket.destroy()
      assert.match(answer, /^HTTP\/1\.1 403 /, method)
    }
    assert.equal((await started.metadata.getUsage(parseTenantName('acme'))).uploadingBytes, 0)
  })

  it('refuses a mount and another repository, and says so', async () => {
    const { client } = started
    const digest = await client.pushBlob('library/base', randomBytes(2000))
    const mounted = await client.send('POST', `/v2/acme/web/blobs/uploads/?mount=${digest}&from=library/base`)
    assert.deepEqual([mounted.status, mounted.codes], [403, ['DENIED']])
    await client.pushBlob('acme/web', randomBytes(100))
    const second = await client.send('POST', '/v2/acme/other/blobs/uploads/')
    assert.deepEqual([second.status, second.codes], [403, ['DENIED']])
    assert.match(messageOf(second.bytes), /as many repositories as its quota allows, which is 1/)
  })

  it('refuses a manifest that there is no room for', async () => {
    const { client } = started
    const config = Buffer.from('{}')
    await client.pushBlob('acme/web', config)
    const refused = await client.putManifest(
      'acme/web',
      '1.0',
      manifestOf(config, [], { annotations: { a: 'x'.repeat(1000) } }),
    )
    assert.deepEqual([refused.status, refused.codes], [403, ['DENIED']])
  })
})

describe('An immutable tag over HTTP', () => {
  it('is 409 DENIED with the rule, for docker and for deletions', async () => {
    await using started = await start()
    const { client, metadata } = started
    const tenant = parseTenantName('acme')
    await metadata.createTenant({ name: tenant })
    const { id } = await metadata.addTagRule({ tenant, repositories: 'acme/**', tags: 'v*' })
    const digest = await client.pushImage('acme/web', 'v1', Buffer.from('one'))
    assert.equal(await client.pushImage('acme/web', 'v1', Buffer.from('one')), digest)
    await client.pushBlob('acme/web', Buffer.from('two'))
    const body = manifestOf(Buffer.from('{}'), [Buffer.from('two')])
    for (const refused of [
      await client.putManifest('acme/web', 'v1', body),
      await client.putManifest('acme/web', `${digestOf(body)}?tag=v1&tag=v2`, body),
      await client.send('DELETE', '/v2/acme/web/manifests/v1'),
      await client.send('DELETE', `/v2/acme/web/manifests/${digest}`),
    ]) {
      assert.deepEqual([refused.status, refused.codes], [409, ['DENIED']])
      assert.equal(
        messageOf(refused.bytes),
        `The tag v1 of acme/web may not be changed: rule ${id} (acme/**, tags v*). Use another tag, or ask an owner of the tenant to remove the rule.`,
      )
    }
    assert.equal((await client.send('GET', '/v2/acme/web/manifests/v2')).status, 404)
    assert.equal((await client.putManifest('acme/web', 'latest', body)).status, 201)
  })
})

describe('Limits of requests', () => {
  it('answer 429 with Retry-After beyond the burst, but never for health', async () => {
    await using started = await start({ requestsPerSecond: 2, requestBurst: 3 })
    const { client, clock, limited } = started
    clock.time = 0
    for (let count = 0; count < 3; count++) assert.equal((await client.send('GET', '/v2/')).status, 200)
    const refused = await client.send('GET', '/v2/')
    assert.deepEqual([refused.status, refused.codes], [429, ['TOOMANYREQUESTS']])
    assert.equal(refused.headers['retry-after'], '1')
    assert.equal(messageOf(refused.bytes), 'Too many requests of the address 127.0.0.1; come again in 1 s.')
    for (const path of ['/livez', '/readyz']) assert.equal((await client.send('GET', path)).status, 200)
    clock.time = 500
    assert.equal((await client.send('GET', '/v2/')).status, 200)
    assert.equal((await client.send('GET', '/v2/')).status, 429)
    assert.deepEqual(limited, ['requests', 'requests'])
  })

  it('of uploads at once let the next one in when one has ended, or its client has gone', async () => {
    await using started = await start({ uploads: 1 })
    const { client, url } = started
    for (const leaves of [false, true]) {
      const location = await client.startUpload('acme/web')
      const body = new Readable({ read: () => {} })
      const leaving = new AbortController()
      const first = request(url + location, { method: 'PATCH', body, signal: leaving.signal }).then(
        response => response.body.dump(),
        (error: unknown) => assert.ok(leaves, String(error)),
      )
      body.push(randomBytes(10))
      const other = await client.startUpload('acme/web')
      await until(async () => (await client.send('PATCH', other, { body: randomBytes(10) })).status === 429)
      // Requests without bytes of a blob are no uploads.
      await client.startUpload('acme/web')
      if (leaves) leaving.abort()
      else body.push(null)
      await first
      const next = await client.startUpload('acme/web')
      await until(async () => (await client.send('PATCH', next, { body: Buffer.alloc(0) })).status === 202)
      await until(
        async () =>
          (await client.send('PATCH', await client.startUpload('acme/web'), { body: randomBytes(9) }))
            .status === 202,
      )
      body.destroy()
    }
  })

  it('of several processes are shared out, and none is none', () => {
    const limits = {
      requestsPerSecond: 10,
      requestBurst: 5,
      loginsPerMinute: 600,
      bytesPerSecond: 1000,
      uploads: 3,
    }
    assert.deepEqual(shareOf(limits, 1), limits)
    assert.deepEqual(shareOf(limits, 4), {
      requestsPerSecond: 2.5,
      requestBurst: 2,
      loginsPerMinute: 150,
      bytesPerSecond: 250,
      uploads: 1,
    })
    assert.deepEqual(shareOf({ ...noLimits }, 4), { ...noLimits, loginsPerMinute: 150 })
  })
})

describe('Limits of bandwidth', () => {
  it('leave every byte of pushes and pulls as it was', async () => {
    await using started = await start({ bytesPerSecond: 400_000 })
    const { client } = started
    const layer = randomBytes(500_000)
    const digest = await client.pushImage('acme/web', '1', layer)
    const pulled = await client.send('GET', `/v2/acme/web/blobs/${digestOf(layer)}`)
    assert.deepEqual([pulled.status, pulled.bytes.equals(layer)], [200, true])
    const head = await client.send('HEAD', `/v2/acme/web/blobs/${digestOf(layer)}`)
    assert.deepEqual([head.status, head.headers['content-length']], [200, '500000'])
    const part = await client.send('GET', `/v2/acme/web/blobs/${digestOf(layer)}`, {
      headers: { range: 'bytes=5-9' },
    })
    assert.deepEqual([part.status, part.bytes], [206, layer.subarray(5, 10)])
    assert.equal(digestOf((await client.send('GET', '/v2/acme/web/manifests/1')).bytes), digest)
  })

  it('do not make a client slow in the eyes of others: a body that only waits for us is not cut', async () => {
    // Every window is too short for what would be enough.
    await using started = await start(
      { bytesPerSecond: 100_000 },
      { minBytesPerSecond: 10_000_000, windowMs: 700 },
    )
    const { client } = started
    const bytes = randomBytes(300_000)
    const location = await client.startUpload('acme/web')
    const { status, headers } = await client.send('PATCH', location, { body: bytes })
    assert.equal(status, 202)
    const closing = withQuery(headers['location'] ?? '', 'digest', digestOf(bytes))
    assert.equal((await client.send('PUT', closing)).status, 201)
  })

  it('leave nothing waiting when clients go in the middle', async () => {
    await using started = await start({ bytesPerSecond: 50_000 })
    const { client, url } = started
    const digest = await client.pushBlob('acme/web', randomBytes(60_000))
    for (const direction of ['up', 'down'] as const) {
      const leaving = new AbortController()
      const { signal } = leaving
      if (direction === 'down') {
        const response = await request(`${url}/v2/acme/web/blobs/${digest}`, { signal })
        await once(response.body, 'readable')
        leaving.abort()
        await assert.rejects(response.body.arrayBuffer())
      } else {
        const location = await client.startUpload('acme/web')
        const sending = request(url + location, { method: 'PATCH', body: randomBytes(200_000), signal })
        await until(async () => (await client.send('GET', location)).status === 204)
        leaving.abort()
        await assert.rejects(sending)
        // The session is free for whoever goes on when what the system has taken in has passed.
        await until(async () => (await client.send('DELETE', location)).status === 204)
      }
    }
  })
})

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 10))
}
