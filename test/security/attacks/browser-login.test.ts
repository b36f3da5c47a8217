/** Logins by a browser, and tokens of other services, that somebody else has begun, led astray or made up. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { LoginCookie } from '../../../src/registry/auth/identities/login-cookie.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { basic } from '../../support/known-identities.ts'
import { OpenIdIssuer } from '../../support/openid-issuer.ts'

describe('A login by a browser', () => {
  const resources = new AsyncDisposableStack()
  let issuer: OpenIdIssuer
  let registry: AttackedRegistry
  /** Of somebody else: nobody may be sent, or go, there. */
  let elsewhere: string
  let visits = 0
  /** Claims of the next ID token. */
  let claims: Record<string, unknown> = {}

  before(async () => {
    const lure = createServer((_, response) => {
      visits += 1
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
    lure.listen(0, '127.0.0.1')
    await once(lure, 'listening')
    resources.defer(async () => {
      lure.closeAllConnections()
      lure.close()
      await once(lure, 'close')
    })
    const address = lure.address()
    elsewhere = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
    issuer = resources.use(await OpenIdIssuer.start())
    issuer.answers.set('/.well-known/openid-configuration', (_, response) => {
      const document = {
        issuer: issuer.url,
        jwks_uri: `${issuer.url}/jwks`,
        authorization_endpoint: `${issuer.url}/authorize`,
        token_endpoint: `${issuer.url}/token`,
        id_token_signing_alg_values_supported: ['ES256'],
      }
      response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
    })
    issuer.answers.set('/token', (_, response) => {
      void issuer
        .sign({ aud: 'client', ...claims })
        .then(token =>
          response
            .setHeader('content-type', 'application/json')
            .end(JSON.stringify({ access_token: 'x', token_type: 'Bearer', id_token: token })),
        )
    })
    const common = {
      audiences: ['varve'],
      roles: [{ tenant: 'acme', role: 'guest', when: { team: 'acme' } }],
    }
    registry = resources.use(
      await startAttacked({
        'auth.providers': JSON.stringify([
          { ...common, name: 'people', issuer: issuer.url, clientId: 'client' },
          { ...common, name: 'jobs', issuer: issuer.url },
        ]),
      }),
    )
  })
  after(() => resources.disposeAsync())

  const visit = (path: string, headers: Record<string, string> = {}) =>
    fetch(registry.url + path, { redirect: 'manual', headers })

  async function begin(headers: Record<string, string> = {}) {
    const answer = await visit('/auth/login/people', headers)
    assert.equal(answer.status, 302)
    const location = new URL(answer.headers.get('location') ?? '')
    return { location, cookie: answer.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
  }

  /** As the provider sends a browser back. */
  async function end(
    { location, cookie }: Awaited<ReturnType<typeof begin>>,
    given: Record<string, unknown>,
  ) {
    claims = { nonce: location.searchParams.get('nonce'), ...given }
    const state = location.searchParams.get('state') ?? ''
    const answer = await visit(`/auth/callback/people?code=c&state=${state}`, { cookie })
    return { status: answer.status, text: await answer.text(), headers: answer.headers }
  }

  it('ends well when nothing is wrong with it', async () => {
    const { status, text } = await end(await begin(), { sub: 'alice' })
    assert.equal(status, 200)
    assert.match(text, /people\/alice/)
  })

  it('leads to nowhere but the provider, whatever its address says', async () => {
    for (const query of ['next', 'redirect_uri', 'return_to', 'callback', 'url', 'state', 'nonce'].map(
      name => `?${name}=${encodeURIComponent(elsewhere)}`,
    )) {
      const answer = await visit(`/auth/login/people${query}`)
      const location = new URL(answer.headers.get('location') ?? '')
      assert.equal(location.origin, issuer.url)
      assert.equal(location.searchParams.get('redirect_uri'), `${registry.url}/auth/callback/people`)
      assert.ok(!location.href.includes(encodeURIComponent(elsewhere)))
    }
    for (const name of [
      '//attacker.example',
      '%2f%2fattacker.example',
      'people%2f..%2f..',
      'people%00',
      'https:attacker.example',
      'jobs',
      '__proto__',
    ])
      assert.equal((await visit(`/auth/login/${name}`)).status, 404)
  })

  it('tells the provider no host that is none, and none by a header of a stranger', async () => {
    const raw = async (host: string, ...more: readonly string[]) =>
      (
        await registry.raw(
          ['GET /auth/login/people HTTP/1.1', `Host: ${host}`, ...more, 'Connection: close', '', ''].join(
            '\r\n',
          ),
        )
      ).text
    for (const host of ['a@attacker.example', 'attacker.example/x', 'a"b', ''])
      assert.match(await raw(host), /redirect_uri=http%3A%2F%2Flocalhost%2Fauth%2Fcallback%2Fpeople/)
    assert.ok(
      !(
        await raw(registry.host, 'X-Forwarded-Host: attacker.example', 'Forwarded: host=attacker.example')
      ).includes('attacker'),
    )
  })

  it('that somebody else has begun gives the browser nothing (CSRF, fixation)', async () => {
    const attackers = await begin()
    const victims = await begin()
    for (const cookie of [
      '',
      victims.cookie,
      `${attackers.cookie.slice(0, -4)}AAAA`,
      'varve-login=',
      'varve-login=x.y.z',
      `varve-login=${'x'.repeat(20_000)}`,
    ]) {
      const { status, text } = await end({ location: attackers.location, cookie }, { sub: 'attacker' })
      assert.equal(status, 403)
      assert.doesNotMatch(text, /vrv_/)
    }
  })

  it('with a cookie of another registry, another provider, or without its prefix gives nothing', async () => {
    const begun = await begin()
    const state = begun.location.searchParams.get('state') ?? ''
    const forged = await new LoginCookie(new Uint8Array(32)).seal({
      provider: 'people',
      state,
      nonce: begun.location.searchParams.get('nonce') ?? '',
      codeVerifier: 'v'.repeat(43),
      callback: `${registry.url}/auth/callback/people`,
    })
    for (const cookie of [
      forged.split(';')[0] ?? '',
      `__Host-${begun.cookie}`,
      begun.cookie.replace('varve-login', 'Varve-Login'),
    ])
      assert.equal((await end({ location: begun.location, cookie }, { sub: 'alice' })).status, 403)
    const other = await visit(`/auth/callback/jobs?code=c&state=${state}`, { cookie: begun.cookie })
    assert.equal(other.status, 404)
  })

  for (const [what, given] of [
    ['with another nonce', { nonce: 'x', sub: 'alice' }],
    ['without a nonce', { nonce: undefined, sub: 'alice' }],
    ['for another client', { aud: 'varve', sub: 'alice' }],
    ['for two clients', { aud: ['other', 'third'], sub: 'alice' }],
    ['of another issuer', { iss: 'https://attacker.example', sub: 'alice' }],
    ['that has expired', { exp: 1, sub: 'alice' }],
    ['for nobody', { sub: undefined }],
    ['for a name that is a script', { sub: '<script>alert(1)</script>' }],
    ['for a name that ends an attribute', { sub: '"><img src=x onerror=alert(1)>' }],
    ['for a name with a blank', { sub: 'alice --username root' }],
    ['for a name with a newline', { sub: 'alice\nroot' }],
    ['for a name that climbs', { sub: '../root' }],
    ['for a name with a mark of direction', { sub: 'al\u202eice' }],
    ['for a name that is long', { sub: 'a'.repeat(5000) }],
    ['for a name that is a list', { sub: ['alice'] }],
  ] as const)
    it(`with an ID token ${what} gives nothing, and nothing of it is shown`, async () => {
      const { status, text, headers } = await end(await begin(), given)
      assert.equal(status, 403, text)
      assert.doesNotMatch(text, /vrv_|<script|<img|root/)
      assert.equal(headers.get('content-type'), 'application/json')
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
    })

  it('makes nobody of ours of a name that somebody has elsewhere', async () => {
    for (const sub of ['root', 'dave', 'acme', 'acme%2Bci']) {
      const { status, text } = await end(await begin(), { sub, admin: true, isAdmin: true, team: 'other' })
      if (status === 403) continue
      assert.equal(status, 200)
      const token = /vrv_\w+/.exec(text)?.[0] ?? ''
      const client = registry.with(basic(`people/${sub}`, token))
      assert.equal((await client.send('GET', '/v2/acme/app/tags/list')).status, 403)
      assert.equal((await client.send('GET', '/api/v1/users')).status, 403)
      for (const name of [sub, `jobs/${sub}`, `people/${sub}/x`])
        assert.equal((await registry.with(basic(name, token)).send('GET', '/v2/')).status, 401)
    }
  })

  it('has nothing of a cookie or a code in the log', () => {
    assert.doesNotMatch(registry.kept.text(), /varve-login=|eyJhbGci|code=c|vrv_[a-z0-9]{16}_/)
  })

  it('of somebody whose provider is sent elsewhere does not follow', async () => {
    for (const path of ['/.well-known/openid-configuration', '/jwks'])
      for (const status of [302, 307]) {
        await using moved = await OpenIdIssuer.start()
        const token = await moved.sign({ sub: 'job' })
        moved.answers.set(path, (_, response) => response.writeHead(status, { location: elsewhere }).end())
        await using other = await startAttacked({
          'auth.providers': JSON.stringify([{ name: 'jobs', issuer: moved.url, audiences: ['varve'] }]),
        })
        const answer = await other.with(basic('jobs/job', token)).send('GET', '/token')
        assert.equal(answer.status, 503)
        assert.ok(!answer.bytes.toString().includes(elsewhere))
      }
    assert.equal(visits, 0)
  })

  it('of a provider that names keys in other places does not go there', async () => {
    for (const uri of [
      'file:///etc/passwd',
      'ftp://127.0.0.1/',
      'javascript:1',
      'data:application/json,{"keys":[]}',
      'x',
      '',
    ]) {
      await using odd = await OpenIdIssuer.start()
      const token = await odd.sign({ sub: 'job' })
      odd.answers.set('/.well-known/openid-configuration', (_, response) =>
        response
          .setHeader('content-type', 'application/json')
          .end(JSON.stringify({ issuer: odd.url, jwks_uri: uri })),
      )
      await using other = await startAttacked({
        'auth.providers': JSON.stringify([{ name: 'jobs', issuer: odd.url, audiences: ['varve'] }]),
      })
      assert.equal((await other.with(basic('jobs/job', token)).send('GET', '/token')).status, 503, uri)
    }
  })
})
