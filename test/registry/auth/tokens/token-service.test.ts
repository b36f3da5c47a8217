import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { AccessPolicy } from '../../../../src/registry/auth/access-policy.ts'
import { parseAccountName, parseTenantName } from '../../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../../src/storage/digest.ts'
import type { Metadata } from '../../../../src/storage/metadata/metadata.ts'
import { basic, identityOf, KnownIdentities, passwordOf } from '../../../support/known-identities.ts'
import { keepLog } from '../../../support/log-lines.ts'
import { startRegistry, type TestRegistry } from '../../../support/registry.ts'
import { type Answer, RegistryClient } from '../../../support/registry-client.ts'
import { tokenParts } from '../../../support/token-parts.ts'

const service = 'varve'
const kept = keepLog()

interface TokenAnswer {
  readonly token: string
  readonly access_token: string
  readonly token_type: string
  readonly scope: string
  readonly expires_in: number
  readonly issued_at: string
  readonly refresh_token?: string
}

function tokenIn(answer: Answer): TokenAnswer {
  assert.equal(answer.status, 200, answer.bytes.toString())
  return JSON.parse(answer.bytes.toString())
}

const accessIn = (answer: Answer) => decodeJwt(tokenIn(answer).token)['access']

async function fill(metadata: Metadata): Promise<void> {
  const acme = parseTenantName('acme')
  await metadata.createTenant({ name: acme })
  await metadata.createTenant({ name: parseTenantName('open'), visibility: 'public' })
  await metadata.setMember(acme, parseAccountName('alice'), 'developer')
  await metadata.setMember(acme, parseAccountName('guest'), 'guest')
  await metadata.setMember(acme, parseAccountName('narrow'), 'owner')
}

describe('The token service over HTTP', () => {
  const identities = new KnownIdentities(
    identityOf('alice'),
    identityOf('guest'),
    identityOf('admin', { isAdmin: true }),
    identityOf('narrow', { scopes: [{ pattern: 'acme/a*', actions: ['pull'] }] }),
    identityOf('workload', { stamp: null, credential: 'oidc:github' }),
  )
  const bearers = (text: string) =>
    Promise.resolve(text === 'vrv_alice' ? identityOf('alice', { credential: 'token:t1' }) : undefined)
  let registry: TestRegistry
  let closed: TestRegistry
  let client: RegistryClient

  before(async () => {
    const start = (anonymous: boolean) =>
      startRegistry({
        log: kept.log,
        security: metadata => {
          const policy = new AccessPolicy({ tenants: metadata, anonymous, admins: [] })
          return tokenParts({ metadata, policy, logins: { identities, bearers }, anonymous }).security
        },
      })
    registry = await start(true)
    closed = await start(false)
    await fill(registry.metadata)
    client = new RegistryClient(registry.url)
  })
  after(async () => {
    await registry.stop()
    await closed.stop()
  })

  const get = (query: string, authorization?: string, path = '/token') =>
    client.send('GET', `${path}?${query}`, {
      headers: authorization === undefined ? {} : { authorization },
    })
  const post = (form: Record<string, string> | string, headers: Record<string, string> = {}) =>
    client.send('POST', '/token', {
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    })
  const scoped = (...scopes: readonly string[]) =>
    scopes.map(scope => `scope=${encodeURIComponent(scope)}`).join('&')

  describe('GET', () => {
    it('gives a token in both dialects, for at least a minute, which nobody keeps', async () => {
      const answer = await get(
        `service=varve&account=alice&client_id=docker&${scoped('repository:acme/app:pull,push')}`,
        basic('alice'),
      )
      const token = tokenIn(answer)
      assert.equal(token.token, token.access_token)
      assert.equal(token.token_type, 'Bearer')
      assert.equal(token.scope, 'repository:acme/app:pull,push')
      assert.ok(token.expires_in >= 60)
      assert.match(token.issued_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
      assert.equal(token.refresh_token, undefined)
      assert.equal(answer.headers['cache-control'], 'no-store')
      assert.equal(answer.headers['content-type'], 'application/json')
    })

    it('gives what the account may, however it is asked for', async () => {
      const entry = (name: string, ...actions: readonly string[]) => ({ type: 'repository', name, actions })
      for (const [who, scopes, access] of [
        ['alice', ['repository:acme/app:push,pull'], [entry('acme/app', 'pull', 'push')]],
        ['alice', ['repository:acme/app:pull,push,delete'], [entry('acme/app', 'pull', 'push')]],
        ['alice', ['repository:acme/app:*'], [entry('acme/app', 'pull', 'push')]],
        ['narrow', ['repository:acme/app:*'], [entry('acme/app', 'pull')]],
        ['admin', ['repository:nowhere/app:*'], [entry('nowhere/app', 'pull', 'push', 'delete')]],
        ['guest', ['repository:acme/app:pull,push'], [entry('acme/app', 'pull')]],
        ['guest', ['repository:other/app:pull,push'], []],
        ['guest', ['repository:open/app:pull'], [entry('open/app', 'pull')]],
        // In several parameters, and in one.
        [
          'alice',
          ['repository:acme/a:pull', 'repository:acme/b:pull repository:acme/a:push'],
          [entry('acme/a', 'pull', 'push'), entry('acme/b', 'pull')],
        ],
        ['alice', [], []],
        ['alice', [''], []],
        ['alice', ['registry:catalog:*'], [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
        [
          'alice',
          ['repository(plugin):acme/app:pull'],
          [{ type: 'repository', class: 'plugin', name: 'acme/app', actions: ['pull'] }],
        ],
        // What is not there to be had, and what is no scope.
        ['admin', ['registry:other:*', 'registry:catalog:pull', 'namespace:acme:pull'], []],
        [
          'admin',
          ['repository:ACME/app:pull', 'repository:acme/../x:pull', 'repository:acme%2fapp:pull'],
          [],
        ],
        ['admin', ['repository:localhost:5000/acme/app:pull', 'repository:acme//app:pull'], []],
        ['admin', ['repository:acme/app:admin,sudo', 'nonsense', ':::', 'repository:acme/app'], []],
      ] as const)
        assert.deepEqual(
          accessIn(await get(scoped(...scopes), basic(who))),
          access,
          `${who} ${scopes.join(' ')}`,
        )
    })

    it('gives nobody in particular a token for what is public', async () => {
      for (const authorization of [undefined, 'Basic Og==', '']) {
        const answer = await get(
          scoped('repository:open/app:pull,push', 'repository:acme/app:pull'),
          authorization,
        )
        assert.deepEqual(accessIn(answer), [{ type: 'repository', name: 'open/app', actions: ['pull'] }])
        assert.equal(decodeJwt(tokenIn(answer).token).sub, '')
      }
      const { status, headers } = await new RegistryClient(closed.url).send('GET', '/token')
      assert.deepEqual([status, headers['www-authenticate']], [401, 'Basic realm="varve"'])
    })

    it('says the same of a repository that is private and of one that is not there', async () => {
      for (const who of [undefined, basic('guest')]) {
        const [one, other] = await Promise.all(
          ['secret/app', 'absent/app'].map(name => get(scoped(`repository:${name}:pull`), who)),
        )
        assert.deepEqual(accessIn(one as Answer), [])
        assert.deepEqual(accessIn(other as Answer), [])
      }
    })

    it('refuses a wrong password, and the name of somebody else', async () => {
      for (const [query, authorization] of [
        ['', basic('alice', 'wrong-secret')],
        ['', basic('unknown', 'wrong-secret')],
        ['account=bob', basic('alice')],
        ['account=alice', undefined],
        ['', 'Bearer abc'],
        ['', 'Basic !'],
      ] as const) {
        const { status, codes, headers, bytes } = await get(query, authorization)
        assert.deepEqual([status, codes], [401, ['UNAUTHORIZED']], `${query} ${authorization}`)
        assert.equal(headers['www-authenticate'], 'Basic realm="varve"')
        assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
        assert.doesNotMatch(bytes.toString(), /wrong.secret/)
      }
      assert.equal((await get('account=', basic('alice'))).status, 200)
    })

    it('is told to wait, with when to come back', async () => {
      const { status, codes, headers } = await get('', basic('impatient'))
      assert.deepEqual([status, codes, headers['retry-after']], [429, ['TOOMANYREQUESTS'], '7'])
    })

    it('is refused for another service and for too much at once', async () => {
      const many = Array.from({ length: 101 }, (_, index) => `repository:acme/r${index}:pull`)
      for (const query of ['service=other', scoped(...many), scoped(many.join(' '))]) {
        const { status, codes } = await get(query, basic('alice'))
        assert.deepEqual([status, codes], [400, ['INVALID']])
      }
      for (const query of ['service=', 'service=varve', 'ns=x&origin=y&unknown=z', 'scope=%zz'])
        assert.equal((await get(query, basic('alice'))).status, 200, query)
    })

    it('is had where distribution has its own, too, and by no other method', async () => {
      for (const path of ['/token', '/auth/token', '/auth/token/']) {
        assert.equal((await get('', undefined, path)).status, 200)
        for (const method of ['HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
          const { status, headers } = await client.send(method, path)
          assert.deepEqual([status, headers['allow']], [405, 'GET, POST'], `${method} ${path}`)
        }
      }
    })
  })

  describe('POST', () => {
    const login = { grant_type: 'password', username: 'alice', password: passwordOf('alice') }

    it('gives the same for a password in a form', async () => {
      const scope = 'repository:acme/app:pull,push repository:other/app:pull'
      const answer = await post({ ...login, scope, service, client_id: 'containerd-client' })
      const token = tokenIn(answer)
      assert.equal(token.access_token, token.token)
      assert.equal(token.scope, 'repository:acme/app:pull,push')
      assert.equal(token.refresh_token, undefined)
      assert.equal(answer.headers['cache-control'], 'no-store')
    })

    it('refuses in both dialects', async () => {
      const cases: readonly [Record<string, string> | string, number, string][] = [
        [{ ...login, password: 'wrong-secret' }, 401, 'invalid_grant'],
        [{ ...login, username: 'unknown' }, 401, 'invalid_grant'],
        [{ ...login, account: 'bob' }, 401, 'invalid_grant'],
        [{ grant_type: 'refresh_token', refresh_token: 'wrong-secret' }, 401, 'invalid_grant'],
        [
          { grant_type: 'refresh_token', refresh_token: `vrr_${'a'.repeat(16)}_${'a'.repeat(49)}` },
          401,
          'invalid_grant',
        ],
        [{ grant_type: 'client_credentials' }, 400, 'unsupported_grant_type'],
        [{ grant_type: 'password' }, 400, 'invalid_request'],
        [{ grant_type: 'password', username: 'alice' }, 400, 'invalid_request'],
        [{ grant_type: 'refresh_token' }, 400, 'invalid_request'],
        [{ ...login, username: 'al\u0000ice' }, 400, 'invalid_request'],
        [{ ...login, service: 'other' }, 400, 'invalid_request'],
        ['grant_type=password&grant_type=refresh_token', 400, 'invalid_request'],
        ['', 400, 'invalid_request'],
        ['%%%=%%%', 400, 'invalid_request'],
      ]
      for (const [form, status, error] of cases) {
        const answer = await post(form)
        const body = JSON.parse(answer.bytes.toString())
        assert.deepEqual([answer.status, body.error], [status, error], JSON.stringify(form))
        assert.equal(body.errors[0].message, body.error_description)
        assert.doesNotMatch(answer.bytes.toString(), /wrong.secret/)
      }
    })

    it('takes forms only, and none that are too large', async () => {
      const json = await post(JSON.stringify(login), { 'content-type': 'application/json' })
      assert.equal(json.status, 400)
      const type = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }
      assert.equal((await post(login, type)).status, 200)
      const { status } = await post({ ...login, padding: 'x'.repeat(70_000) })
      assert.equal(status, 413)
    })

    it('is told to wait', async () => {
      const { status, headers } = await post({ ...login, username: 'impatient' })
      assert.deepEqual([status, headers['retry-after']], [429, '7'])
    })
  })

  describe('a refresh token', () => {
    it('is given to those who want one, and used again and again', async () => {
      const first = tokenIn(await get('offline_token=true&service=varve&account=alice', basic('alice')))
      assert.match(first.refresh_token ?? '', /^vrr_[a-z0-9]{16}_\w{49}$/)
      const form = { grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '', service }
      for (let turn = 0; turn < 3; turn += 1) {
        const answer = await post({ ...form, scope: 'repository:acme/app:pull' })
        assert.equal(tokenIn(answer).scope, 'repository:acme/app:pull')
        assert.equal(tokenIn(answer).refresh_token, undefined)
        assert.equal(decodeJwt(tokenIn(answer).token).sub, 'alice')
      }
      const offline = tokenIn(await post({ ...form, access_type: 'offline' }))
      assert.equal(offline.refresh_token, first.refresh_token)
    })

    it('comes with a password in a form, too', async () => {
      const form = { grant_type: 'password', username: 'alice', password: passwordOf('alice') }
      assert.ok(tokenIn(await post({ ...form, access_type: 'offline' })).refresh_token)
    })

    it('is not given to nobody in particular, nor to those whose proof ends', async () => {
      assert.equal(tokenIn(await get('offline_token=true')).refresh_token, undefined)
      assert.equal(tokenIn(await get('offline_token=true', basic('workload'))).refresh_token, undefined)
    })

    it('of a credential with scopes is good for no more than that', async () => {
      const { refresh_token = '' } = tokenIn(await get('offline_token=true', basic('narrow')))
      const scope = 'repository:acme/app:pull,push repository:acme/b:pull'
      const answer = await post({ grant_type: 'refresh_token', refresh_token, scope })
      assert.equal(tokenIn(answer).scope, 'repository:acme/app:pull')
    })

    it('opens nothing but the token service', async () => {
      const { refresh_token = '' } = tokenIn(await get('offline_token=true', basic('alice')))
      for (const authorization of [`Bearer ${refresh_token}`, basic('alice', refresh_token)])
        assert.equal((await client.send('GET', '/v2/', { headers: { authorization } })).status, 401)
    })
  })

  it('shows its public keys, which verify its tokens', async () => {
    const { token } = tokenIn(await get('', basic('alice')))
    const { status, bytes, headers } = await client.send('GET', '/.well-known/jwks.json')
    assert.deepEqual([status, headers['content-type']], [200, 'application/json'])
    const jwks = JSON.parse(bytes.toString())
    assert.ok(jwks.keys.every((key: object) => !('d' in key)))
    await jwtVerify(token, createLocalJWKSet(jwks), { issuer: 'varve', audience: 'varve' })
    const head = await client.send('HEAD', '/.well-known/jwks.json')
    assert.equal(head.headers['content-length'], String(bytes.length))
  })

  describe('and the registry behind it', () => {
    const bearer = async (who: string | undefined, ...scopes: readonly string[]) => {
      const { token } = tokenIn(await get(scoped(...scopes), who === undefined ? undefined : basic(who)))
      return { authorization: `Bearer ${token}` }
    }
    const challenge = (scope: string, error?: string) =>
      `Bearer realm="${registry.url}/token",service="varve",scope="${scope}"${error === undefined ? '' : `,error="${error}"`}`

    it('challenges at /v2/, with one challenge, which names no scope', async () => {
      const { status, codes, headers } = await client.send('GET', '/v2/')
      assert.deepEqual([status, codes], [401, ['UNAUTHORIZED']])
      assert.equal(headers['www-authenticate'], `Bearer realm="${registry.url}/token",service="varve"`)
      assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
    })

    it('lets those in who have a token, be it good for nothing else', async () => {
      for (const who of ['alice', undefined])
        assert.equal((await client.send('GET', '/v2/', { headers: await bearer(who) })).status, 200)
    })

    it('says which scope it takes, in the order that clients compare', async () => {
      const push = await client.send('POST', '/v2/acme/app/blobs/uploads/')
      assert.equal(push.headers['www-authenticate'], challenge('repository:acme/app:pull,push'))
      const pull = await client.send('GET', '/v2/acme/app/manifests/latest')
      assert.equal(pull.headers['www-authenticate'], challenge('repository:acme/app:pull'))
      const remove = await client.send('DELETE', '/v2/acme/app/manifests/latest')
      assert.equal(remove.headers['www-authenticate'], challenge('repository:acme/app:delete'))
      const digest = `sha256:${'0'.repeat(64)}`
      const mount = await client.send('POST', `/v2/acme/app/blobs/uploads/?mount=${digest}&from=acme/base`)
      assert.equal(
        mount.headers['www-authenticate'],
        challenge('repository:acme/app:pull,push repository:acme/base:pull'),
      )
      const closedPull = await new RegistryClient(closed.url).send('GET', '/v2/_catalog')
      assert.match(String(closedPull.headers['www-authenticate']), /scope="registry:catalog:\*"$/)
    })

    it('answers too little with 401 and insufficient_scope, so that clients get a wider token', async () => {
      const headers = await bearer('guest', 'repository:acme/app:pull,push')
      const {
        status,
        codes,
        headers: answered,
      } = await client.send('POST', '/v2/acme/app/blobs/uploads/', {
        headers,
      })
      assert.deepEqual([status, codes], [401, ['UNAUTHORIZED']])
      assert.equal(
        answered['www-authenticate'],
        challenge('repository:acme/app:pull,push', 'insufficient_scope'),
      )
      const other = await client.send('GET', '/v2/open/app/tags/list', { headers })
      assert.equal(other.status, 401)
    })

    it('answers a token that is not good with invalid_token', async () => {
      const headers = { authorization: 'Bearer a.b.c' }
      const { status, headers: answered } = await client.send('GET', '/v2/acme/app/tags/list', { headers })
      assert.equal(status, 401)
      assert.equal(answered['www-authenticate'], challenge('repository:acme/app:pull', 'invalid_token'))
    })

    it('pushes and pulls with tokens', async () => {
      const headers = await bearer('alice', 'repository:acme/app:pull,push')
      const start = await client.send('POST', '/v2/acme/app/blobs/uploads/', { headers })
      assert.equal(start.status, 202)
      const tags = await client.send('GET', '/v2/acme/app/tags/list', { headers })
      assert.equal(tags.status, 404)
    })

    it('pulls what is public with nothing, and with a token of nobody', async () => {
      assert.equal((await client.send('GET', '/v2/open/app/tags/list')).status, 404)
      const headers = await bearer(undefined, 'repository:open/app:pull')
      assert.equal((await client.send('GET', '/v2/open/app/tags/list', { headers })).status, 404)
    })

    it('takes a password or an API token at once', async () => {
      for (const authorization of [basic('alice'), 'Bearer vrv_alice']) {
        const headers = { authorization }
        assert.equal((await client.send('GET', '/v2/', { headers })).status, 200)
        assert.equal(
          (await client.send('POST', '/v2/acme/app/blobs/uploads/', { headers })).status,
          202,
          authorization,
        )
      }
    })

    it('answers too little of these by their scheme', async () => {
      const denied = await client.send('DELETE', '/v2/acme/app/manifests/latest', {
        headers: { authorization: basic('alice') },
      })
      assert.deepEqual([denied.status, denied.codes], [403, ['DENIED']])
      const token = await client.send('DELETE', '/v2/acme/app/manifests/latest', {
        headers: { authorization: 'Bearer vrv_alice' },
      })
      assert.equal(token.status, 401)
      assert.match(String(token.headers['www-authenticate']), /error="insufficient_scope"$/)
      const wrong = await client.send('GET', '/v2/', { headers: { authorization: 'Bearer vrv_wrong' } })
      assert.match(String(wrong.headers['www-authenticate']), /error="invalid_token"$/)
    })

    it('lists with a token for the catalog what its account may pull', async () => {
      const config = await bearer('alice', 'repository:acme/app:pull,push')
      const body = Buffer.from('blob')
      const digest = digestOf(body)
      const pushed = await client.send('POST', `/v2/acme/app/blobs/uploads/?digest=${digest}`, {
        headers: config,
        body,
      })
      assert.equal(pushed.status, 201)
      const list = async (who: string | undefined, ...more: readonly string[]) => {
        const headers = await bearer(who, 'registry:catalog:*', ...more)
        return JSON.parse((await client.send('GET', '/v2/_catalog', { headers })).bytes.toString())
          .repositories
      }
      assert.deepEqual(await list('guest'), ['acme/app'])
      assert.deepEqual(await list('admin'), ['acme/app'])
      assert.deepEqual(await list('workload'), [])
      assert.deepEqual(await list(undefined), [])
    })

    it('mounts only from what the token names, whatever its account may pull', async () => {
      const body = Buffer.from('mounted')
      const digest = digestOf(body)
      const own = await bearer('alice', 'repository:acme/base:pull,push')
      await client.send('POST', `/v2/acme/base/blobs/uploads/?digest=${digest}`, { headers: own, body })
      const path = `/v2/acme/target/blobs/uploads/?mount=${digest}&from=acme/base`
      const narrow = await bearer('alice', 'repository:acme/target:pull,push', 'registry:catalog:*')
      assert.equal((await client.send('POST', path, { headers: narrow })).status, 202)
      const wide = await bearer('alice', 'repository:acme/target:pull,push', 'repository:acme/base:pull')
      assert.equal((await client.send('POST', path, { headers: wide })).status, 201)
    })
  })

  it('keeps all secrets out of the log', () => {
    assert.ok(kept.text().length > 1000)
    assert.doesNotMatch(kept.text(), /-password|wrong.secret|vrr_|vrv_|eyJ/)
  })
})
