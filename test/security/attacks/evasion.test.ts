/** More than a tenant's quota, and other tags than those that may be changed, by being quick or by being many. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { manifestOf, type RegistryClient, withQuery } from '../../support/registry-client.ts'

const kilobyte = 1024

describe('A quota', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  let dave: RegistryClient

  before(async () => {
    registry = resources.use(await startAttacked())
    dave = registry.with(registry.login('dave'))
  })
  after(() => resources.disposeAsync())

  /** A new tenant, because changed quotas count a little later, and a repository in it. */
  async function limited(
    name: string,
    quota: { readonly quotaBytes?: number; readonly quotaRepositories?: number },
  ): Promise<{ readonly repository: string; used: () => Promise<{ bytes: number; repositories: number }> }> {
    const tenant = parseTenantName(name)
    await registry.metadata.createTenant({ name: tenant, ...quota })
    await registry.metadata.setMember(tenant, parseAccountName('dave'), 'developer')
    return { repository: `${name}/app`, used: () => registry.metadata.getUsage(tenant) }
  }

  /** In all ways in which bytes can come. */
  const ways: Readonly<Record<string, (repository: string, bytes: Buffer) => Promise<number>>> = {
    'in one request': async (repository, bytes) => {
      const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`
      return (await dave.send('POST', path, { body: bytes })).status
    },
    'without a length': async (repository, bytes) => {
      const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`
      const half = bytes.length / 2
      const body = Readable.from([bytes.subarray(0, half), bytes.subarray(half)])
      return (await dave.send('POST', path, { body })).status
    },
    'in parts': async (repository, bytes) => {
      let location = await dave.startUpload(repository)
      const half = bytes.length / 2
      for (const part of [bytes.subarray(0, half), bytes.subarray(half)]) {
        const { status, headers } = await dave.send('PATCH', location, { body: part })
        if (status !== 202) return status
        location = headers['location'] ?? ''
      }
      return (await dave.send('PUT', withQuery(location, 'digest', digestOf(bytes)))).status
    },
    'in the closing request': async (repository, bytes) => {
      const location = await dave.startUpload(repository)
      return (await dave.send('PUT', withQuery(location, 'digest', digestOf(bytes)), { body: bytes })).status
    },
  }

  for (const [at, [how, push]] of Object.entries(ways).entries())
    it(`is not exceeded ${how}`, async () => {
      const { repository } = await limited(`quota-${at}`, { quotaBytes: 10 * kilobyte })
      assert.equal(await push(repository, randomBytes(2 * kilobyte)), 201)
      await registry.unharmed(async () => {
        assert.equal(await push(repository, randomBytes(40 * kilobyte)), 403)
      })
      assert.equal(await push(repository, randomBytes(6 * kilobyte)), 201)
      await registry.unharmed(async () => {
        assert.equal(await push(repository, randomBytes(6 * kilobyte)), 403)
      })
    })

  it('is not exceeded by many uploads at once, in all ways together', async () => {
    const limit = 64 * kilobyte
    const { repository, used } = await limited('quota-many', { quotaBytes: limit })
    await dave.pushBlob(repository, Buffer.from('{}'))
    const all = Object.values(ways)
    const statuses = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        (all[at % all.length] ?? assert.fail())(repository, randomBytes(8 * kilobyte)),
      ),
    )
    assert.ok(statuses.includes(403))
    assert.ok(
      statuses.every(status => status === 201 || status === 403),
      statuses.join(),
    )
    const { bytes } = await used()
    assert.ok(bytes <= limit, `${bytes} of ${limit}`)
  })

  it('is not exceeded by mounts of what others have', async () => {
    const bytes = randomBytes(50 * kilobyte)
    const large = await registry.with(registry.login('root')).pushBlob('site/app', bytes)
    const { repository } = await limited('quota-mounts', { quotaBytes: 10 * kilobyte })
    await registry.unharmed(async () => {
      const path = `/v2/${repository}/blobs/uploads/?mount=${large}&from=site/app`
      const answers = await Promise.all([1, 2, 3].map(() => dave.send('POST', path)))
      for (const { status } of answers) assert.equal(status, 403)
    })
  })

  it('is not exceeded by manifests', async () => {
    const { repository } = await limited('quota-manifests', { quotaBytes: 2 * kilobyte })
    const config = Buffer.from('{}')
    await dave.pushBlob(repository, config)
    await registry.unharmed(async () => {
      const large = manifestOf(config, [], { annotations: { a: 'x'.repeat(10 * kilobyte) } })
      assert.equal((await dave.putManifest(repository, 'large', large)).status, 403)
    })
  })

  it('of repositories is not exceeded by those that come at once', async () => {
    const { used } = await limited('quota-names', { quotaRepositories: 3 })
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async (_, at) => {
        const bytes = randomBytes(10)
        const path = `/v2/quota-names/${at}/blobs/uploads/?digest=${digestOf(bytes)}`
        return (await dave.send('POST', path, { body: bytes })).status
      }),
    )
    assert.deepEqual(statuses.filter(status => status === 201).length, 3, statuses.join())
    assert.equal((await used()).repositories, 3)
  })

  it('is changed by admins only', async () => {
    await registry.unharmed(async () => {
      for (const who of ['oscar', 'mia', 'zoe'])
        for (const body of ['{"quotaBytes":null}', '{"quotaRepositories":null}', '{"quotaBytes":9e15}']) {
          const tenant = who === 'oscar' ? 'other' : 'acme'
          const answer = await registry.with(registry.login(who)).send('PATCH', `/api/v1/tenants/${tenant}`, {
            body,
            headers: { 'content-type': 'application/json' },
          })
          assert.ok([403, 404].includes(answer.status), `${who}: ${answer.status}`)
        }
    })
  })
})

describe('An immutable tag', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked())
    await registry.metadata.addTagRule({
      tenant: parseTenantName('acme'),
      repositories: 'acme/**',
      tags: 'v*',
    })
  })
  after(() => resources.disposeAsync())

  const imageOf = (text: string) => manifestOf(Buffer.from('{}'), [], { annotations: { text } })

  it('is set by one of many who come at once, and by nobody after', async () => {
    const dave = registry.with(registry.login('dave'))
    await dave.pushBlob('acme/app', Buffer.from('{}'))
    for (let round = 0; round < 5; round += 1) {
      const images = Array.from({ length: 12 }, (_, at) => imageOf(`${round} ${at}`))
      const answers = await Promise.all(images.map(image => dave.putManifest('acme/app', `v${round}`, image)))
      const statuses = answers.map(({ status }) => status)
      assert.equal(statuses.filter(status => status === 201).length, 1, statuses.join())
      assert.equal(statuses.filter(status => status === 409).length, 11, statuses.join())
      const first = images[statuses.indexOf(201)] ?? assert.fail()
      const { bytes } = await dave.send('GET', `/v2/acme/app/manifests/v${round}`)
      assert.ok(bytes.equals(first))
    }
  })

  it('is neither moved nor deleted in another way, by nobody', async () => {
    const dave = registry.with(registry.login('dave'))
    const image = imageOf('0 0')
    assert.ok([201, 409].includes((await dave.putManifest('acme/app', 'v9', image)).status))
    const digest = digestOf(image)
    await registry.unharmed(async () => {
      for (const who of ['mia', 'root']) {
        const client = registry.with(registry.login(who))
        for (const [method, path] of [
          ['DELETE', '/v2/acme/app/manifests/v9'],
          ['DELETE', '/v2/acme/app/manifests/%76%39'],
          ['DELETE', `/v2/acme/app/manifests/${digest}`],
        ] as const)
          assert.equal((await client.send(method, path)).status, 409, `${who} ${method} ${path}`)
        assert.equal((await client.putManifest('acme/app', 'v9', imageOf('another'))).status, 409)
        const byDigest = `${digestOf(imageOf('another'))}?tag=v9`
        assert.equal((await client.putManifest('acme/app', byDigest, imageOf('another'))).status, 409)
      }
    })
  })

  it('stays while deletions and pushes race', async () => {
    const mia = registry.with(registry.login('mia'))
    await mia.pushBlob('acme/app', Buffer.from('{}'))
    const image = imageOf('race')
    const digest = digestOf(image)
    const answers = await Promise.all([
      mia.putManifest('acme/app', 'v-race', image),
      ...Array.from({ length: 10 }, () => mia.send('DELETE', `/v2/acme/app/manifests/${digest}`)),
      ...Array.from({ length: 10 }, () => mia.send('DELETE', '/v2/acme/app/manifests/v-race')),
    ])
    assert.equal(answers[0]?.status, 201)
    assert.ok(answers.slice(1).every(({ status }) => status === 404 || status === 409))
    assert.equal((await mia.send('GET', '/v2/acme/app/manifests/v-race')).status, 200)
  })
})
