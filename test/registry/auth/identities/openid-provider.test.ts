import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  OpenIdProvider,
  type OpenIdProviderParts,
} from '../../../../src/registry/auth/identities/openid-provider.ts'
import { looksLikeJwt, OpenIdTokens } from '../../../../src/registry/auth/identities/openid-tokens.ts'
import type { OpenIdProviderOptions } from '../../../../src/registry/auth/identities/provider-options.ts'
import { defaultDocumentTimes } from '../../../../src/registry/auth/identities/provider-documents.ts'
import { parseTenantName } from '../../../../src/storage/accounts/names.ts'
import { type KeptLog, keepLog } from '../../../support/log-lines.ts'
import { OpenIdIssuer } from '../../../support/openid-issuer.ts'
import { rejectsWith } from '../../../support/rejects.ts'
import { selfSigned } from '../../../support/self-signed.ts'

const discovery = '/.well-known/openid-configuration'

describe('An OpenID provider', () => {
  let stack: AsyncDisposableStack
  let issuer: OpenIdIssuer
  let kept: KeptLog
  let clock: { now: number }

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    issuer = stack.use(await OpenIdIssuer.start())
    kept = keepLog()
    clock = { now: 0 }
  })
  afterEach(async () => await stack.disposeAsync())

  const providerWith = (
    options: Partial<OpenIdProviderOptions> = {},
    parts: Partial<OpenIdProviderParts> = {},
  ): OpenIdProvider =>
    stack.use(
      new OpenIdProvider(
        {
          name: 'ci',
          issuer: issuer.url,
          audiences: ['varve'],
          accountClaim: 'sub',
          require: {},
          roles: [],
          ...options,
        },
        { log: kept.log, admins: [], now: () => clock.now, ...parts },
      ),
    )

  it('takes no token with another issuer, though signed with its key', async () => {
    const provider = providerWith()
    for (const iss of ['https://id.example.com', `${issuer.url}/`, [issuer.url], undefined])
      assert.equal(await provider.verify(await issuer.sign({ iss })), undefined, String(iss))
  })

  it('takes no token of a key that cannot be used, such as one that is too short, and says why', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const content = `${part({ alg: 'RS256', kid: 'short' })}.${part({ iss: issuer.url, aud: 'varve', sub: 'job-1', exp: 4e9 })}`
    const token = `${content}.${sign('sha256', Buffer.from(content), privateKey).toString('base64url')}`
    for (const jwk of [publicKey.export({ format: 'jwk' }), { kty: 'RSA', n: '***', e: 'AQAB' }]) {
      const keys = { keys: [{ ...jwk, kid: 'short', alg: 'RS256' }] }
      issuer.answers.set('/jwks', (_, response) => void response.end(JSON.stringify(keys)))
      assert.equal(await providerWith().verify(token), undefined)
    }
    assert.match(kept.text(), /its key cannot be used/)
  })

  it('stands for accounts with the roles of their claims, and names those that are admins', async () => {
    const tenant = parseTenantName('acme')
    const provider = providerWith(
      { roles: [{ tenant, role: 'developer', when: { ref: 'refs/heads/*' } }] },
      { admins: ['ci/job-2'] },
    )
    assert.deepEqual(await provider.verify(await issuer.sign({ ref: 'refs/heads/main' })), {
      account: 'ci/job-1',
      isAdmin: false,
      credential: 'oidc:ci',
      scopes: null,
      memberships: [{ tenant, role: 'developer' }],
      stamp: null,
    })
    const other = await provider.verify(await issuer.sign({ sub: 'job-2' }))
    assert.deepEqual([other?.isAdmin, other?.memberships], [true, []])
  })

  it('is asked for its keys once, and not for each token', async () => {
    const provider = providerWith()
    const tokens = await Promise.all(Array.from({ length: 10 }, () => issuer.sign()))
    for (const identity of await Promise.all(tokens.map(token => provider.verify(token))))
      assert.equal(identity?.account, 'ci/job-1')
    assert.deepEqual(issuer.requests, [discovery, '/jwks'])
    clock.now += defaultDocumentTimes.freshMs
    await provider.verify(await issuer.sign())
    assert.equal(issuer.requests.length, 4)
  })

  it('is asked again for a key that is not known, and at most once in 30 seconds', async () => {
    const provider = providerWith()
    await provider.verify(await issuer.sign())
    clock.now += 30_000
    await issuer.addKey('second', 'RS256')
    const token = await issuer.sign()
    assert.equal((await provider.verify(token))?.account, 'ci/job-1')
    assert.equal(issuer.requests.length, 4)
    issuer.removeKey('second')
    await issuer.addKey('third')
    const unknown = await issuer.sign()
    for (let count = 0; count < 20; count += 1) assert.equal(await provider.verify(unknown), undefined)
    assert.equal(issuer.requests.length, 4)
    clock.now += 30_000
    assert.equal((await provider.verify(unknown))?.account, 'ci/job-1')
    // The key that was taken away is not good any more.
    assert.equal(await provider.verify(token), undefined)
  })

  for (const alg of ['RS256', 'PS512', 'ES384', 'EdDSA'])
    it(`may sign by ${alg}`, async () => {
      await issuer.addKey(alg, alg)
      assert.equal((await providerWith().verify(await issuer.sign()))?.account, 'ci/job-1')
    })

  it('does not sign by what its public key could be a secret of', async () => {
    await issuer.addKey('rsa', 'RS256')
    const provider = providerWith()
    const [, payload = ''] = (await issuer.sign()).split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'rsa', typ: 'JWT' })).toString('base64url')
    const mac = createHmac('sha256', JSON.stringify(issuer.jwks.keys[0]))
    const forged = `${header}.${payload}.${mac.update(`${header}.${payload}`).digest('base64url')}`
    assert.ok(looksLikeJwt(forged))
    assert.equal(await provider.verify(forged), undefined)
  })

  it('is not taken for another one that has signed by a key in the token itself', async () => {
    const provider = providerWith()
    await using other = await OpenIdIssuer.start()
    const [jwk] = other.jwks.keys
    for (const header of [
      { jwk },
      { kid: undefined, jwk },
      { jku: `${other.url}/jwks` },
      { x5u: other.url },
      {},
    ]) {
      const token = await other.sign({ iss: issuer.url }, header)
      assert.ok(looksLikeJwt(token))
      assert.equal(await provider.verify(token), undefined)
    }
    assert.deepEqual(other.requests, [])
  })

  it('has to say when a token ends', async () => {
    assert.equal(await providerWith().verify(await issuer.sign({ exp: undefined })), undefined)
    assert.match(kept.text(), /exp/)
  })

  it('may be late or early by 30 seconds', async () => {
    const now = Math.floor(Date.now() / 1000)
    const provider = providerWith()
    assert.ok(await provider.verify(await issuer.sign({ exp: now - 20 })))
    assert.ok(await provider.verify(await issuer.sign({ nbf: now + 20 })))
    assert.equal(await provider.verify(await issuer.sign({ exp: now - 40 })), undefined)
  })

  it('may name several audiences', async () => {
    const provider = providerWith({ audiences: ['one', 'two'] })
    assert.ok(await provider.verify(await issuer.sign({ aud: ['two', 'three'] })))
    assert.equal(await provider.verify(await issuer.sign({ aud: ['three'] })), undefined)
    assert.equal(await provider.verify(await issuer.sign({ aud: [] })), undefined)
  })

  it('that is down makes it unknown who somebody is, and names itself; later it is asked again', async () => {
    const provider = providerWith()
    issuer.answers.set(discovery, (_, response) => response.writeHead(503).end())
    const token = await issuer.sign()
    for (let count = 0; count < 5; count += 1) {
      const error = await rejectsWith('unavailable', provider.verify(token))
      assert.match(error.message, /OpenID provider ci .*503/)
    }
    assert.equal(issuer.requests.length, 1)
    issuer.answers.clear()
    clock.now += 5_000
    assert.ok(await provider.verify(token))
  })

  it('that is down for a while is believed by its last keys, for an hour', async () => {
    const provider = providerWith()
    const token = await issuer.sign()
    assert.ok(await provider.verify(token))
    issuer.answers.set(discovery, (_, response) => response.destroy())
    clock.now += defaultDocumentTimes.freshMs
    assert.ok(await provider.verify(token))
    clock.now += defaultDocumentTimes.staleMs - defaultDocumentTimes.freshMs
    await rejectsWith('unavailable', provider.verify(token))
  })

  for (const [what, path, answer] of [
    [
      'the document of another issuer',
      discovery,
      { issuer: 'https://other.example', jwks_uri: 'http://127.0.0.1:1/' },
    ],
    ['a document without keys', discovery, {}],
    ['a list', discovery, []],
    ['keys that are none', '/jwks', { keys: 'none' }],
    ['a thousand keys', '/jwks', { keys: Array.from({ length: 1000 }, () => ({ kty: 'EC' })) }],
    ['a megabyte', '/jwks', { keys: [], more: 'x'.repeat(1024 * 1024) }],
  ] as const)
    it(`that sends ${what} cannot be asked`, async () => {
      issuer.answers.set(path, (_, response) => response.end(JSON.stringify(answer)))
      const token = await issuer.sign()
      assert.match((await rejectsWith('unavailable', providerWith().verify(token))).message, /provider ci/)
    })

  it('that sends no JSON, or a part of it, cannot be asked', async () => {
    for (const text of ['<html>', '{"keys":[', '']) {
      issuer.answers.set('/jwks', (_, response) => response.end(text))
      await rejectsWith('unavailable', providerWith().verify(await issuer.sign()))
    }
  })

  it('that sends us elsewhere is not followed', async () => {
    await using other = await OpenIdIssuer.start()
    issuer.answers.set('/jwks', (_, response) =>
      response.writeHead(302, { location: `${other.url}/jwks` }).end(),
    )
    await rejectsWith('unavailable', providerWith().verify(await issuer.sign()))
    assert.deepEqual(other.requests, [])
  })

  it('that calls itself by another name is not believed', async () => {
    for (const other of ['https://id.example.com', `${issuer.url}/`]) {
      issuer.answers.set(discovery, (_, response) =>
        response.end(JSON.stringify({ issuer: other, jwks_uri: `${issuer.url}/jwks` })),
      )
      const { message } = await rejectsWith('unavailable', providerWith().verify(await issuer.sign()))
      assert.match(message, /another issuer/)
    }
  })

  it('that never answers is given up', async () => {
    issuer.answers.set(discovery, () => {})
    const provider = providerWith({}, { timeoutMs: 50 })
    assert.match((await rejectsWith('unavailable', provider.verify(await issuer.sign()))).message, /50 ms/)
  })

  it('that sends a byte now and then is given up', async () => {
    issuer.answers.set(discovery, (_, response) => {
      const timer = setInterval(() => response.write(' '), 10)
      response.on('close', () => clearInterval(timer))
    })
    const provider = providerWith({}, { timeoutMs: 100 })
    assert.match((await rejectsWith('unavailable', provider.verify(await issuer.sign()))).message, /100 ms/)
  })

  it('is not waited for by who has gone; others have what it answers', async () => {
    const asked = Promise.withResolvers<void>()
    const answered = Promise.withResolvers<void>()
    issuer.answers.set(discovery, (_, response) => {
      asked.resolve()
      void answered.promise.then(() =>
        response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/jwks` })),
      )
    })
    const provider = providerWith()
    const leaving = new AbortController()
    const token = await issuer.sign()
    const gone = provider.verify(token, { signal: leaving.signal })
    const staying = provider.verify(token)
    await asked.promise
    leaving.abort()
    await assert.rejects(gone, { name: 'AbortError' })
    answered.resolve()
    assert.ok(await staying)
    assert.equal(issuer.requests.length, 2)
  })

  it('is only believed by TLS that somebody trusted has signed for', async () => {
    const tls = await selfSigned()
    await using secure = await OpenIdIssuer.start({ tls })
    const token = await secure.sign()
    await rejectsWith('unavailable', providerWith({ issuer: secure.url }).verify(token))
    const identity = await providerWith({ issuer: secure.url, ca: tls.cert }).verify(token)
    assert.equal(identity?.account, 'ci/job-1')
  })

  it('with TLS has no keys without', async () => {
    const tls = await selfSigned()
    await using secure = await OpenIdIssuer.start({ tls })
    secure.answers.set(discovery, (_, response) =>
      response.end(JSON.stringify({ issuer: secure.url, jwks_uri: `${issuer.url}/jwks` })),
    )
    const provider = providerWith({ issuer: secure.url, ca: tls.cert })
    assert.match((await rejectsWith('unavailable', provider.verify(await secure.sign()))).message, /https/)
    assert.deepEqual(issuer.requests, [])
  })

  it('shares an issuer with another one: the first that takes a token counts', async () => {
    const tokens = new OpenIdTokens([
      providerWith({ name: 'main', require: { ref: 'main' } }),
      providerWith({ name: 'rest' }),
    ])
    assert.equal((await tokens.verifyToken(await issuer.sign({ ref: 'main' })))?.account, 'main/job-1')
    assert.equal((await tokens.verifyToken(await issuer.sign({ ref: 'other' })))?.account, 'rest/job-1')
  })

  it('is not asked for tokens of others, or what is none', async () => {
    const tokens = new OpenIdTokens([providerWith()])
    await using other = await OpenIdIssuer.start()
    const huge = await issuer.sign({ more: 'x'.repeat(20_000) })
    for (const text of [await other.sign(), huge, 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.', 'a.b.c', ''])
      assert.equal(await tokens.verifyToken(text), undefined)
    assert.deepEqual([issuer.requests, other.requests], [[], []])
  })

  it('tells the log why, and never the token', async () => {
    const provider = providerWith({ require: { ref: 'main' } })
    const tokens = [
      await issuer.sign({ exp: 1 }),
      await issuer.sign({ aud: 'secret-audience' }),
      await issuer.sign({ ref: 'secret-branch' }),
      await issuer.sign({ ref: 'main', sub: 'secret name' }),
    ]
    for (const token of tokens) assert.equal(await provider.verify(token), undefined)
    assert.deepEqual(
      kept.lines().map(line => line['reason']),
      [
        'it has expired',
        'its claim aud is wrong or absent',
        'its claim ref is not what is required',
        "its claim sub has characters that an account's name cannot have",
      ],
    )
    for (const secret of ['secret', ...tokens.flatMap(token => token.split('.'))])
      assert.ok(!kept.text().includes(secret))
  })
})
