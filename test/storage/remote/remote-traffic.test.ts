import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName as parseRepository, parseTag } from '../../../src/storage/reference.ts'
import type { PullQuota } from '../../../src/storage/remote/remote-registries.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { scriptedRemote, team } from '../../support/remote-registry.ts'
import { servedImage } from '../../support/served-image.ts'

const image = servedImage()
const tag = { kind: 'tag', tag: parseTag('1') } as const
const blob = randomBytes(100_000)
const digest = digestOf(blob)

describe('A registry that is busy', () => {
  for (const status of [408, 429, 502, 503, 504])
    it(`is asked again after ${status}`, async () => {
      await using remote = await scriptedRemote((_, response) => {
        if (remote.server.seen.length < 3) response.writeHead(status).end()
        else response.end(image.manifest)
      })
      await remote.repository.get(tag)
      assert.equal(remote.pauses.length, 2)
    })

  it('is asked again after it was not there', async () => {
    await using remote = await scriptedRemote((_, response) => {
      if (remote.server.seen.length < 3) response.destroy()
      else response.end(image.manifest)
    })
    await remote.repository.get(tag)
    assert.deepEqual(remote.told, ['GET manifest 0', 'GET manifest 0', 'GET manifest 200'])
  })

  it('is left alone as long as it says', async () => {
    await using remote = await scriptedRemote((_, response) => {
      if (remote.server.seen.length < 2) response.writeHead(429, { 'retry-after': '17' }).end()
      else response.end(image.manifest)
    })
    await remote.repository.get(tag)
    assert.deepEqual(remote.pauses, [17_000])
    assert.ok(remote.registry.comeBackAt !== undefined)
  })

  it('is left alone no longer than it says when the clock is set back, and no shorter when forwards', async t => {
    await using remote = await scriptedRemote((_, response) =>
      response.writeHead(429, { 'retry-after': '3600' }).end(),
    )
    await rejectsWith('throttled', remote.repository.stat(tag))
    const elapsed = performance.now.bind(performance)
    for (const changeMs of [-24 * 3_600_000, 24 * 3_600_000]) {
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() + changeMs })
      const leftMs = Number(remote.registry.comeBackAt) - Date.now()
      assert.ok(leftMs > 3_000_000 && leftMs <= 3_600_000, String(leftMs))
      const later = t.mock.method(performance, 'now', () => elapsed() + 3_600_000)
      assert.equal(remote.registry.comeBackAt, undefined)
      later.mock.restore()
      t.mock.timers.reset()
    }
  })

  for (const [status, code] of [
    [429, 'throttled'],
    [503, 'unavailable'],
  ] as const)
    it(`is told as ${code} at once, with when to come back, when that is long (${status})`, async () => {
      await using remote = await scriptedRemote((_, response) =>
        response.writeHead(status, { 'retry-after': '3600' }).end(),
      )
      const { details } = await rejectsWith(code, remote.repository.stat(tag))
      assert.equal(details.retryAfterSeconds, 3600)
      assert.equal(remote.server.seen.length, 1)
    })

  it('is given up after as many tries as are allowed', async () => {
    await using remote = await scriptedRemote((_, response) => response.writeHead(503).end(), {
      retries: { attempts: 2, maxWaitMs: 1000 },
    })
    await rejectsWith('unavailable', remote.repository.stat(tag))
    assert.equal(remote.server.seen.length, 2)
  })

  it('may be its token service', async () => {
    let asked = 0
    await using remote = await scriptedRemote((request, response) => {
      const realm = `http://${response.req.headers.host ?? ''}/token`
      if (request.path === '/token') {
        asked += 1
        if (asked === 1) response.writeHead(503, { 'retry-after': '2' }).end()
        else response.end('{"token":"t"}')
      } else if (request.authorization === 'Bearer t') response.end(image.manifest)
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end()
    })
    await remote.repository.get(tag)
    assert.deepEqual(remote.pauses, [2000])
  })
})

describe('Tokens of a registry', () => {
  it('are for what is done, one for each', async () => {
    const scopes: string[] = []
    await using remote = await scriptedRemote((request, response) => {
      const realm = `http://${response.req.headers.host ?? ''}/token`
      if (request.path === '/token') {
        scopes.push(request.query.getAll('scope').join(' '))
        response.end('{"token":"t","expires_in":300}')
      } else if (request.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end()
      else if (request.path === '/v2/_catalog') response.end('{}')
      else response.writeHead(response.req.method === 'POST' ? 201 : 200, { 'content-length': 0 }).end()
    })
    const { repository, registry } = remote
    const info = { digest, size: 1 }
    for (let round = 0; round < 2; round += 1) {
      await registry.ping()
      await Array.fromAsync(registry.repositories())
      await repository.statBlob(digest)
      await repository.hasBlob(info)
      await repository.mountBlob(info, [team, parseRepository('other')])
      await repository.deleteTag(parseTag('1'))
    }
    assert.deepEqual(scopes, [
      '',
      'registry:catalog:*',
      'repository:team/app:pull',
      'repository:team/app:pull,push',
      'repository:team/app:pull,push repository:other:pull',
      'repository:team/app:delete',
    ])
  })
})

describe('Traffic with a registry', () => {
  it('is counted, and its quota told', async () => {
    const quotas: PullQuota[] = []
    let received = 0
    const traffic = {
      request: () => {},
      bytes: (direction: string, count: number) => {
        if (direction === 'received') received += count
      },
      quota: (quota: PullQuota) => void quotas.push(quota),
    }
    await using remote = await scriptedRemote(
      ({ path }, response) => {
        response.setHeader('ratelimit-limit', '100;w=21600')
        response.setHeader('ratelimit-remaining', '7;w=21600')
        response.end(path.includes('blobs') ? blob : image.manifest)
      },
      { traffic },
    )
    assert.equal(quotas.length, 0)
    await remote.repository.get(tag)
    await buffer((await remote.repository.openBlob(digest)).stream)
    assert.equal(received, blob.length)
    assert.equal(remote.registry.pullQuota?.remaining, 7)
    assert.equal(quotas[0]?.windowSeconds, 21600)
  })

  it('has so many requests at once, bodies included', async () => {
    let [running, most] = [0, 0]
    await using remote = await scriptedRemote(
      (_, response) => {
        running += 1
        most = Math.max(most, running)
        response.on('close', () => (running -= 1))
        setTimeout(() => sendSlowly(response), 5)
      },
      { limits: { concurrency: 2 } },
    )
    const read = async (): Promise<void> => {
      const { stream } = await remote.repository.openBlob(digest)
      assert.equal((await buffer(stream)).length, blob.length)
    }
    const given = new AbortController()
    const waits = [1, 2, 3, 4, 5, 6].map(read)
    const aborted = remote.repository.openBlob(digest, { signal: given.signal })
    given.abort()
    await assert.rejects(aborted, { name: 'AbortError' })
    await Promise.all(waits)
    assert.equal(most, 2)
    // What failed gives its place back, too.
    await Promise.all([read(), read(), read()])
  })

  it('may wait longer for its place than for its answer', async () => {
    const held = Promise.withResolvers<void>()
    await using remote = await scriptedRemote(
      ({ path }, response) => {
        if (!path.includes('blobs')) return void response.end(image.manifest)
        response.writeHead(200, { 'content-length': blob.length })
        response.write(blob.subarray(0, 50_000))
        void held.promise.then(() => response.end(blob.subarray(50_000)))
      },
      { limits: { concurrency: 1 }, retries: { attempts: 1, maxWaitMs: 0 } },
      { patience: { documentMs: 3000 } },
    )
    const { stream } = await remote.repository.openBlob(digest)
    const waiting = remote.repository.get(tag)
    setTimeout(() => held.resolve(), 3500)
    assert.equal((await buffer(stream)).length, blob.length)
    assert.equal((await waiting).size, image.manifest.length)
  })

  it('waits for its turn, and for its bytes', async t => {
    // Time stands still: what the requests themselves take would be taken off the waits. Whole, so that sums are exact.
    const now = Math.ceil(performance.now())
    t.mock.method(performance, 'now', () => now)
    await using remote = await scriptedRemote(
      ({ path }, response) => response.end(path.includes('blobs') ? blob : image.manifest),
      {
        limits: { requestsPerSecond: 2, bytesPerSecond: 10_000 },
      },
    )
    for (let count = 0; count < 4; count += 1) await remote.repository.get(tag)
    const [third = 0, fourth = 0] = remote.pauses
    assert.ok(third > 0 && third <= 500 && fourth > third && fourth <= 1000, remote.pauses.join(' '))
    const before = remote.pauses.length
    await buffer((await remote.repository.openBlob(digest)).stream)
    // Ten seconds' worth, of which one may come at once.
    assert.ok(Math.max(...remote.pauses.slice(before)) > 8000)
  })
})

function sendSlowly(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': blob.length })
  response.write(blob.subarray(0, 50_000))
  setTimeout(() => response.end(blob.subarray(50_000)), 10)
}
