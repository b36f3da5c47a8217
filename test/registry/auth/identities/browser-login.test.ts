/** People with a browser, a real OpenID provider, and a registry between them. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { createRegistryApp } from '../../../../src/registry/app.ts'
import { AccessPolicy } from '../../../../src/registry/auth/access-policy.ts'
import { OpenAccess } from '../../../../src/registry/auth/open-access.ts'
import { BrowserLogin } from '../../../../src/registry/auth/identities/browser-login.ts'
import { browserLoginRoutes } from '../../../../src/registry/auth/identities/browser-login-routes.ts'
import { LoginCookie } from '../../../../src/registry/auth/identities/login-cookie.ts'
import { tokenPage } from '../../../../src/registry/auth/identities/login-page.ts'
import {
  type OpenedIdentities,
  openIdentities,
} from '../../../../src/registry/auth/identities/open-identities.ts'
import { defaultServerTimeouts, listen } from '../../../../src/registry/server.ts'
import { parseAccountName, parseTenantName } from '../../../../src/storage/accounts/names.ts'
import { ObjectBlobStore } from '../../../../src/storage/blobs/object-blob-store.ts'
import type { Metadata } from '../../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../../src/storage/objects/filesystem.ts'
import { Browser } from '../../../support/browser.ts'
import { type KeptLog, keepLog } from '../../../support/log-lines.ts'
import { type OidcTestProvider, startOidcProvider } from '../../../support/oidc-provider.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const tenant = parseTenantName('acme')
const clientId = 'varve'
const clientSecret = 'a-secret-of-the-client: with & odd %characters'

describe('A login by a browser', () => {
  const stack = new AsyncDisposableStack()
  let provider: OidcTestProvider
  let down: OidcTestProvider
  let metadata: Metadata
  let opened: OpenedIdentities
  let kept: KeptLog
  let url: string
  let serve: (origin?: URL) => Promise<string>
  let browser: Browser

  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    metadata = stack.use(await openSqliteMetadata(join(directory.path, 'metadata.sqlite')))
    provider = stack.use(
      await startOidcProvider(name => ({
        groups: name === 'mallory' ? ['strangers'] : ['staff', 'builders'],
        preferred_username: name,
      })),
    )
    down = stack.use(await startOidcProvider(() => ({})))
    kept = keepLog()
    const common = {
      // Of workloads' tokens; those of people are for the client.
      audiences: ['workloads-only'],
      accountClaim: 'preferred_username',
      require: { groups: 'staff' },
      roles: [{ tenant, role: 'developer' as const, when: { groups: 'builders' } }],
    }
    const client = { clientId, clientSecret, scopes: ['profile'] }
    opened = stack.use(
      await openIdentities({
        records: metadata,
        log: kept.log,
        providers: [
          { ...common, name: 'people', issuer: provider.url, client },
          { ...common, name: 'down', issuer: down.url, client },
          { ...common, name: 'workloads', issuer: provider.url },
          // The same client: only the name says what its accounts may do.
          { ...common, name: 'twin', issuer: provider.url, client },
        ],
      }),
    )
    const login = new BrowserLogin({
      providers: opened.providers,
      credentials: metadata,
      log: kept.log,
      secret: randomBytes(32),
    })
    const policy = new AccessPolicy({ tenants: metadata, anonymous: true, admins: [] })
    const objects = await FilesystemObjectStore.open(join(directory.path, 'objects'))
    serve = async origin => {
      const app = createRegistryApp({
        blobs: new ObjectBlobStore({ objects, metadata }),
        metadata,
        log: kept.log,
        security: { access: new OpenAccess(), routes: browserLoginRoutes({ login, policy, origin }) },
      })
      const server = await listen(app.callback(), { host: '127.0.0.1', port: 0 }, defaultServerTimeouts)
      stack.defer(async () => await server.close())
      return server.url
    }
    url = await serve()
    await provider.register({ clientId, clientSecret, callback: `${url}/auth/callback/people` })
  })
  after(async () => await stack.disposeAsync())
  beforeEach(() => {
    browser = new Browser()
  })

  const isCallback = ({ pathname }: URL): boolean => pathname.startsWith('/auth/callback/')
  /** Logs in at the provider, as a person would. @returns where it sends the browser back to. */
  const logInAs = async (name: string, with_ = browser): Promise<URL> => {
    const asked = await with_.follow(`${url}/auth/login/people`)
    const submitted = await with_.request(asked.url, { prompt: 'login', login: name, password: 'any' })
    const consent = await with_.follow(new URL(submitted.headers.get('location') ?? '', asked.url))
    const given = await with_.request(consent.url, { prompt: 'consent' })
    return (await with_.follow(new URL(given.headers.get('location') ?? '', consent.url), isCallback)).url
  }
  const refusedWith = async (answer: Response, status: number): Promise<string> => {
    const text = await answer.text()
    assert.equal(answer.status, status, text)
    assert.ok(!text.includes('vrv_'))
    return text
  }

  it('ends with a token on a page, and the token is the account with the roles of its claims', async () => {
    const answer = await browser.request(await logInAs('alice'))
    const html = await answer.text()
    assert.equal(answer.status, 200, html)
    const token = /<pre>(vrv_[^<]+)<\/pre>/.exec(html)?.[1] ?? ''
    assert.ok(html.includes(`docker login --username people/alice ${new URL(url).host}</pre>`))

    const account = parseAccountName('people/alice')
    const login = { username: account, password: token, address: '192.0.2.1' }
    const identity = await opened.identities.verify(login)
    assert.equal(identity?.account, account)
    assert.deepEqual(identity.memberships, [{ tenant, role: 'developer' }])
    const [credential, ...others] = await metadata.listCredentials(account, 'token')
    assert.deepEqual(others, [])
    assert.equal(credential?.description, 'browser login')
    const days = ((credential.expiresAt?.getTime() ?? 0) - Date.now()) / 86_400_000
    assert.ok(days > 29.9 && days <= 30)
    await metadata.revokeCredential(account, credential.id)
    assert.equal(await opened.identities.verify(login), undefined)
  })

  it('shows the token to nothing but eyes', async () => {
    const callback = await logInAs('bob')
    const answer = await browser.request(callback)
    const html = await answer.text()
    const token = /vrv_\w+/.exec(html)?.[0] ?? ''
    const headers = Object.fromEntries(answer.headers)
    assert.match(headers['content-security-policy'] ?? '', /^default-src 'none';.*frame-ancestors 'none'/)
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.match(headers['content-type'] ?? '', /^text\/html; charset=utf-8$/)
    assert.doesNotMatch(html, /<(script|style|img|link|iframe|form)|on\w+=|javascript:/i)
    for (const secret of [token, callback.searchParams.get('code') ?? '', clientSecret])
      assert.ok(secret.length > 8 && !kept.text().includes(secret))
  })

  it('is carried by a cookie that no script and no other site gets', async () => {
    const answer = await browser.request(`${url}/auth/login/people`)
    assert.equal(answer.status, 302)
    const [cookie = '', ...others] = answer.headers.getSetCookie()
    assert.deepEqual(others, [])
    assert.match(cookie, /^varve-login=[\w.-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/)
    const location = new URL(answer.headers.get('location') ?? '')
    assert.equal(location.origin, provider.url)
    const { searchParams } = location
    assert.equal(searchParams.get('code_challenge_method'), 'S256')
    assert.equal(searchParams.get('scope'), 'openid profile')
    for (const name of ['state', 'nonce', 'code_challenge']) {
      const value = searchParams.get(name) ?? ''
      assert.ok(value.length >= 43, name)
      assert.ok(!cookie.includes(value))
    }
    const callback = await logInAs('alice')
    await browser.request(callback)
    assert.match(browser.cookies.at(-1) ?? '', /^varve-login=; Path=\/; Max-Age=0; /)
  })

  it('is ended only once', async () => {
    const callback = await logInAs('alice')
    const cookie = browser.cookies.find(text => text.startsWith('varve-login=ey'))?.split(';')[0] ?? ''
    assert.equal((await browser.request(callback)).status, 200)
    await refusedWith(await browser.request(callback), 403)
    await refusedWith(await fetch(callback, { headers: { cookie } }), 403)
  })

  it('is ended only by the browser that began it', async () => {
    const callback = await logInAs('alice')
    await refusedWith(await fetch(callback), 403)
    const other = new Browser()
    await other.request(`${url}/auth/login/people`)
    await refusedWith(await other.request(callback), 403)
    await refusedWith(
      await fetch(callback, { headers: { cookie: 'varve-login=eyJhbGciOiJkaXIifQ....' } }),
      403,
    )
    await refusedWith(await fetch(callback, { headers: { cookie: `varve-login=${'x'.repeat(9000)}` } }), 403)
    // The one who began it still can.
    assert.equal((await browser.request(callback)).status, 200)
  })

  it('is ended only for the provider that it was begun for', async () => {
    const callback = await logInAs('alice')
    callback.pathname = '/auth/callback/twin'
    await refusedWith(await browser.request(callback), 403)
    assert.deepEqual(await metadata.listCredentials(parseAccountName('twin/alice'), 'token'), [])
  })

  for (const [what, change] of [
    ['another state', (query: URLSearchParams) => query.set('state', 'x')],
    ['no state', (query: URLSearchParams) => query.delete('state')],
    ['another code', (query: URLSearchParams) => query.set('code', 'x')],
    ['no code', (query: URLSearchParams) => query.delete('code')],
    ['two codes', (query: URLSearchParams) => query.append('code', 'x')],
    ['another issuer', (query: URLSearchParams) => query.set('iss', 'https://other.example')],
    ['a refusal', (query: URLSearchParams) => query.set('error', 'access_denied')],
  ] as const)
    it(`is not ended with ${what}`, async () => {
      const callback = await logInAs('alice')
      change(callback.searchParams)
      await refusedWith(await browser.request(callback), 403)
    })

  it('is not ended by somebody who refuses at the provider', async () => {
    const asked = await browser.follow(`${url}/auth/login/people`)
    const back = await browser.follow(new URL(`${asked.url.pathname}/abort`, asked.url), isCallback)
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
    await refusedWith(await browser.request(back.url), 403)
  })

  it('gives no token to who lacks a claim that is required', async () => {
    const text = await refusedWith(await browser.request(await logInAs('mallory')), 403)
    assert.match(text, /people does not say what is required of you/)
    assert.deepEqual(await metadata.listCredentials(parseAccountName('people/mallory'), 'token'), [])
  })

  it('is not begun at a provider that is unknown, has no client, or is down', async () => {
    for (const name of ['unknown', 'workloads', '..%2Fadmin', '%3Cscript%3E'])
      await refusedWith(await fetch(`${url}/auth/login/${name}`, { redirect: 'manual' }), 404)
    await refusedWith(await fetch(`${url}/auth/callback/unknown?code=x`), 404)
    const answer = await fetch(`${url}/auth/login/down`, { redirect: 'manual' })
    assert.ok(answer.headers.has('retry-after'))
    await refusedWith(answer, 503)
  })

  it('comes back to the name that the registry is given, by whatever name it was called', async () => {
    const named = await serve(new URL('https://registry.example.com/token'))
    const { headers } = await fetch(`${named}/auth/login/people`, { redirect: 'manual' })
    const back = new URL(headers.get('location') ?? '').searchParams.get('redirect_uri')
    assert.equal(back, 'https://registry.example.com/auth/callback/people')
    assert.match(headers.get('set-cookie') ?? '', /^__Host-varve-login=.*; Secure$/)
  })

  it('is only for GET', async () => {
    for (const path of ['login', 'callback']) {
      const answer = await fetch(`${url}/auth/${path}/people`, { method: 'POST' })
      assert.equal(answer.headers.get('allow'), 'GET')
      await refusedWith(answer, 405)
    }
  })
})

describe('The cookie of a login', () => {
  const login = {
    provider: 'people',
    state: 'a state',
    nonce: 'a nonce',
    codeVerifier: 'a verifier',
    callback: 'https://registry.example/auth/callback/people',
  }
  const pairOf = (cookie: string): string => cookie.split(';')[0] ?? ''

  it('is for TLS only where there is TLS, and cannot be set by anybody in between', async () => {
    const cookies = new LoginCookie(randomBytes(32))
    const cookie = await cookies.seal(login)
    assert.match(cookie, /^__Host-varve-login=[\w.-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/)
    assert.deepEqual(await cookies.open(pairOf(cookie)), login)
    assert.equal(await cookies.open(pairOf(cookie).replace('__Host-', '')), undefined)
    const plain = await cookies.seal({ ...login, callback: 'http://registry.example/auth/callback/people' })
    assert.equal(await cookies.open(`__Host-${pairOf(plain)}`), undefined)
  })

  it('is found among others, and taken only as it was made', async () => {
    const cookies = new LoginCookie(randomBytes(32))
    const value = pairOf(await cookies.seal(login))
    assert.deepEqual(await cookies.open(`a=b; ${value}; c=d`), login)
    assert.deepEqual(await cookies.open(`__Host-varve-login=wrong; ${value}`), login)
    for (const wrong of [
      undefined,
      '',
      'a=b',
      value.slice(0, -2),
      `${value}x`,
      `${value.slice(0, 40)}A${value.slice(41)}`,
    ])
      assert.equal(await cookies.open(wrong), undefined)
    assert.equal(await new LoginCookie(randomBytes(32)).open(value), undefined)
    for (const [, secret] of Object.entries(login)) assert.ok(!value.includes(secret))
  })
})

describe('The page with a token', () => {
  it('shows what it is given as text', () => {
    const reply = tokenPage(
      {
        account: parseAccountName('people/a:b'),
        token: '<script>alert(1)</script>',
        expiresAt: new Date('2030-01-02T03:04:05Z'),
        host: "\"><img src=x onerror='alert(1)'>&",
      },
      {},
    )
    const html =
      reply.content !== undefined && 'bytes' in reply.content
        ? Buffer.from(reply.content.bytes).toString()
        : ''
    assert.ok(!html.includes('<script>') && !html.includes('<img'))
    assert.ok(html.includes('&lt;script&gt;alert(1)&lt;/script&gt;'))
    assert.ok(html.includes('&quot;&gt;&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;'))
    assert.ok(html.includes('docker login --username people/a &quot;'))
    assert.ok(html.includes('2030-01-02'))
  })
})
