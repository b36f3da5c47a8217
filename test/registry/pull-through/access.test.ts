import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { hash } from 'bcryptjs'
import { request } from 'undici'
import { startRegistry as serveConfigured } from '../../../src/cli/registry/start-registry.ts'
import { loadConfig } from '../../../src/config.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { testPasswordCost } from '../../support/administration.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { basic, passwordOf } from '../../support/known-identities.ts'
import { startRegistry } from '../../support/registry.ts'
import { manifestOf, RegistryClient } from '../../support/registry-client.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { testLog } from '../../support/test-logs.ts'

interface Asked {
  readonly status: number
  /** Of the manifest, where there is one. */
  readonly digest: string | undefined
  readonly headers: Record<string, string | string[] | undefined>
}

const secretLayer = Buffer.from('what only some may have')

for (const mode of ['token', 'basic'] as const)
  describe(`who may pull through, with auth.mode ${mode}`, { timeout: 120_000 }, () => {
    const stack = new AsyncDisposableStack()
    let upstream: CountedUpstream
    let url: string
    let admin: Record<string, string>
    let theirs: string
    let ours: string
    let debian: string

    before(async () => {
      const { path } = stack.use(await temporaryDirectory())
      const behind = stack.use(await startRegistry())
      const source = new RegistryClient(behind.url)
      debian = await source.pushImage('library/debian', '1', Buffer.from('debian'))
      theirs = await source.pushImage('acme/web', '1', Buffer.from('of somebody elsewhere'))
      await source.pushImage('solo/app', '1', Buffer.from('of somebody elsewhere, too'))
      await source.pushImage('staff/only', '1', secretLayer)
      upstream = stack.use(await countUpstream(behind.url))
      // Only staff may pull what is staff's.
      upstream.answers = ({ url: asked = '', headers }, response) => {
        if (!asked.startsWith('/v2/staff/') || headers.authorization === basic('us')) return false
        response.writeHead(401, { 'www-authenticate': 'Basic realm="there"' }).end()
        return true
      }
      const passwordFile = join(path, 'password')
      await writeFile(passwordFile, passwordOf('us'), { mode: 0o600 })
      const registry = upstream.host
      const { config } = loadConfig({
        environment: {},
        flags: {
          data: join(path, 'data'),
          'auth.mode': mode,
          'registry.address': '127.0.0.1:0',
          'registry.metricsAddress': 'off',
          'remote.credentials': [{ name: 'us', registry, username: 'us', passwordFile }],
          upstreams: [
            { name: 'hub', registry, prefix: 'hub', root: true, library: true, hosts: ['mirror.test'] },
            { name: 'staff', registry, prefix: 'acme/hub', namespaces: [], credentials: 'us' },
          ],
        },
      })
      const varve = stack.use(await serveConfigured(config, testLog()))
      url = varve.url
      const password = (await readFile(join(path, 'data', 'admin-password'), 'utf8')).trim()
      admin = { authorization: basic('admin', password) }
      const metadata = stack.use(await openSqliteMetadata(join(path, 'data', 'registry', 'varve.db')))
      await metadata.createTenant({ name: parseTenantName('hub'), visibility: 'public' })
      await metadata.createTenant({ name: parseTenantName('acme') })
      const passwordHash = await hash(passwordOf('gina'), testPasswordCost)
      await metadata.createAccount({ kind: 'user', name: parseAccountName('gina'), passwordHash })
      await metadata.setMember(parseTenantName('acme'), parseAccountName('gina'), 'guest')
      const otto = parseAccountName('otto')
      const ottoHash = await hash(passwordOf('otto'), testPasswordCost)
      await metadata.createAccount({ kind: 'user', name: otto, passwordHash: ottoHash })
      await metadata.createTenant({ name: parseTenantName('otto') })
      await metadata.setMember(parseTenantName('otto'), otto, 'developer')
      const own = new RegistryClient(url)
      ours = await push(own, 'acme/web')
      await push(own, 'solo/app')
    })
    after(() => stack.disposeAsync())

    /** As the administrator, an image whose layer says where it belongs. */
    async function push(client: RegistryClient, repository: string): Promise<string> {
      const [config, layer] = [Buffer.from('{}'), Buffer.from(`ours, in ${repository}`)]
      for (const body of [config, layer]) {
        const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(body)}`
        assert.equal((await client.send('POST', path, { body, headers: admin })).status, 201)
      }
      const body = manifestOf(config, [layer])
      const headers = { ...admin, 'content-type': 'application/vnd.oci.image.manifest.v1+json' }
      const { status } = await client.send('PUT', `/v2/${repository}/manifests/1`, { headers, body })
      assert.equal(status, 201)
      return digestOf(body)
    }

    async function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Asked> {
      const response = await request(url + path, { method: method as 'GET', headers })
      await response.body.dump()
      const { 'docker-content-digest': digest } = response.headers
      return { status: response.statusCode, digest: digest?.toString(), headers: response.headers }
    }

    /** `Authorization` of somebody, by the way that the mode wants, for what they say that they pull. */
    async function shown(
      name: string | undefined,
      repository: string,
      actions = 'pull',
      besides?: string,
    ): Promise<Record<string, string>> {
      const login: Record<string, string> = name === undefined ? {} : { authorization: basic(name) }
      if (mode === 'basic') return login
      const scope = repository === '' ? `registry:catalog:${actions}` : `repository:${repository}:${actions}`
      const more = besides === undefined ? '' : `&scope=repository:${besides}:pull`
      const answer = await request(`${url}/token?service=varve&scope=${scope}${more}`, { headers: login })
      const { token } = (await answer.body.json()) as { token: string }
      return { authorization: `Bearer ${token}` }
    }

    const pulled = async (name: string | undefined, repository: string, query = '', host?: string) =>
      await ask(`/v2/${repository}/manifests/1${query}`, {
        ...(await shown(name, repository)),
        ...(host === undefined ? {} : { host }),
      })

    it('everybody, by every name that upstream has, when the tenant of its prefix is public', async () => {
      const ns = `?ns=${encodeURIComponent(upstream.host)}`
      for (const [repository, query, host] of [
        ['hub/library/debian', '', undefined],
        ['hub/debian', '', undefined],
        ['library/debian', '', undefined],
        ['debian', '', undefined],
        ['library/debian', '', 'mirror.test'],
        ['debian', '', 'MIRROR.test'],
      ] as const) {
        const answer = await pulled(undefined, repository, query, host)
        assert.equal(answer.digest, debian, `${repository} ${query} ${host}`)
        assert.equal(answer.headers['oci-namespace'], undefined)
      }
      for (const host of [undefined, 'mirror.test'])
        for (const repository of ['library/debian', 'debian']) {
          const answer = await pulled(undefined, repository, '?ns=nobody.example', host)
          assert.ok([401, 404].includes(answer.status), `${answer.status}`)
        }
      // containerd takes the scope from the challenge.
      for (const repository of ['library/debian', 'debian', 'hub/library/debian']) {
        const headers = await shown(undefined, 'hub/library/debian')
        const answer = await ask(`/v2/${repository}/manifests/1${ns}`, headers)
        assert.equal(answer.digest, debian, repository)
        assert.equal(answer.headers['oci-namespace'], upstream.host)
      }
    })

    it('nobody what is ours by a name that it has elsewhere, and upstream is not even asked', async () => {
      upstream.take()
      for (const repository of [
        'acme/web',
        'acme/nothing',
        'solo/app',
        'acme%2Fweb',
        'hub%2F..%2Facme%2Fweb',
        'hub/../acme/web',
        'acme/hub/library/debian',
        'hub//acme/web',
      ])
        for (const method of ['GET', 'HEAD']) {
          const headers = await shown(undefined, 'acme/web')
          const answer = await ask(`/v2/${repository}/manifests/1`, headers, method)
          assert.ok([400, 401, 403, 404].includes(answer.status), `${repository}: ${answer.status}`)
          assert.notEqual(answer.digest, ours)
        }
      assert.deepEqual(upstream.take(), [])
    })

    it('upstream’s, never ours, where the name is upstream’s by ns, Host or prefix', async () => {
      const ns = `?ns=${encodeURIComponent(upstream.host)}`
      const headers = await shown(undefined, 'hub/acme/web')
      for (const answer of [
        await ask(`/v2/acme/web/manifests/1${ns}`, headers),
        await ask(`/v2/hub/acme/web/manifests/1${ns}`, headers),
        await ask('/v2/hub/acme/web/manifests/1', headers),
        await ask('/v2/acme/web/manifests/1', { ...headers, host: 'mirror.test' }),
      ])
        assert.equal(answer.digest, theirs)
      for (const doubled of [`/v2/hub/hub/acme/web/manifests/1`, `/v2/hub/hub/acme/web/manifests/1${ns}`])
        assert.equal((await ask(doubled, await shown(undefined, 'hub/hub/acme/web'))).status, 404)
      // To whoever may have it, ours is ours, whatever upstream has.
      assert.equal((await pulled('gina', 'acme/web')).digest, ours)
    })

    it('only members what is pulled with the tenant’s own credentials, and nobody without them by having it here', async () => {
      const digest = digestOf(secretLayer)
      const member = await shown('gina', 'acme/hub/staff/only')
      assert.equal((await ask('/v2/acme/hub/staff/only/manifests/1', member)).status, 200)
      assert.equal((await ask(`/v2/acme/hub/staff/only/blobs/${digest}`, member)).status, 200)
      const ns = `?ns=${encodeURIComponent(upstream.host)}`
      const stranger = await shown(undefined, 'acme/hub/staff/only')
      for (const path of ['/v2/acme/hub/staff/only/manifests/1', `/v2/acme/hub/staff/only/manifests/1${ns}`])
        assert.equal((await ask(path, stranger)).status, 401)
      // Upstream does not give these to nobody, so nobody gets them from here.
      for (const who of [undefined, 'gina']) {
        const headers = await shown(who, 'hub/staff/only')
        assert.equal((await ask('/v2/hub/staff/only/manifests/1', headers)).status, 404)
        assert.equal((await ask(`/v2/hub/staff/only/blobs/${digest}`, headers)).status, 404)
        assert.equal((await ask(`/v2/hub/staff/only/blobs/${digest}`, headers, 'HEAD')).status, 404)
        assert.equal((await ask(`/v2/hub/library/debian/blobs/${digest}`, headers)).status >= 400, true)
      }
    })

    it('only members its tags, referrers, catalog entries and mounts', async () => {
      const repository = 'acme/hub/staff/only'
      const digest = digestOf(secretLayer)
      const member = await shown('gina', repository)
      assert.equal((await ask(`/v2/${repository}/manifests/1`, member)).status, 200)
      assert.equal((await ask(`/v2/${repository}/blobs/${digest}`, member)).status, 200)
      const lists = [`/v2/${repository}/tags/list`, `/v2/${repository}/referrers/${digest}`]
      for (const path of lists) assert.equal((await ask(path, member)).status, 200)
      for (const who of [undefined, 'otto']) {
        const stranger = await shown(who, repository)
        for (const path of lists) assert.ok([401, 403].includes((await ask(path, stranger)).status), path)
      }
      const own = await shown('otto', 'otto/app', 'pull,push', repository)
      for (const query of [`mount=${digest}&from=${repository}`, `mount=${digest}`]) {
        const answer = await ask(`/v2/otto/app/blobs/uploads/?${query}`, own, 'POST')
        assert.equal(answer.status, 202, query)
      }
      const names = await request(`${url}/v2/_catalog`, { headers: await shown('otto', '', '*') })
      assert.ok(!(await names.body.text()).includes(repository))
    })

    it('nobody a repository that became ours after they had shown that they may pull upstream’s', async () => {
      const headers = await shown(undefined, 'library/later')
      assert.equal((await ask('/v2/library/later/manifests/1', headers)).status, 404)
      const digest = await push(new RegistryClient(url), 'library/later')
      const answer = await ask('/v2/library/later/manifests/1', headers)
      assert.equal(answer.status, 401)
      assert.notEqual(answer.digest, digest)
    })

    it('and nothing is pushed by a name that means upstream', async () => {
      const ns = `?ns=${encodeURIComponent(upstream.host)}`
      for (const [path, host] of [
        ['/v2/hub/a/blobs/uploads/', undefined],
        [`/v2/a/blobs/uploads/${ns}`, undefined],
        ['/v2/a/blobs/uploads/', 'mirror.test'],
      ] as const) {
        const headers = { ...admin, ...(host === undefined ? {} : { host }) }
        const response = await request(url + path, { method: 'POST', headers })
        assert.match(await response.body.text(), /is a copy of hub, so nothing can be pushed there/)
        assert.equal(response.statusCode, 403)
      }
      // At the root the name is ours.
      const response = await request(`${url}/v2/library/b/blobs/uploads/`, { method: 'POST', headers: admin })
      assert.equal(response.statusCode, 202)
      assert.equal(response.headers['location']?.toString().startsWith('/v2/library/b/'), true)
    })

    it('and /v2/ and the catalog stay ours', async () => {
      assert.equal((await ask('/v2/', { host: 'mirror.test' })).status, 401)
      const known = await ask(`/v2/_catalog?ns=${encodeURIComponent(upstream.host)}`, admin)
      assert.equal(known.status, 200)
    })

    it('and a name that would become too long is not there', async () => {
      const name = `a/${'b'.repeat(250)}`
      const headers = await shown(undefined, name)
      assert.equal((await ask(`/v2/${name}/manifests/1`, headers)).status, 404)
      assert.equal(parseRepositoryName(name), name)
    })
  })
