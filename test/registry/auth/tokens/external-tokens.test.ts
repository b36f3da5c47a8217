import assert from 'node:assert/strict'
import { chmod, rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWSAlgorithm,
  type JWTPayload,
  SignJWT,
} from 'jose'
import type { Access } from '../../../../src/registry/auth/access.ts'
import { parseJwks } from '../../../../src/registry/auth/tokens/jwks-document.ts'
import { JwksFile } from '../../../../src/registry/auth/tokens/jwks-file.ts'
import { JwksUrl } from '../../../../src/registry/auth/tokens/jwks-url.ts'
import { TokenAccess } from '../../../../src/registry/auth/tokens/token-access.ts'
import { TokenVerifier } from '../../../../src/registry/auth/tokens/token-verifier.ts'
import type { VerificationKeys } from '../../../../src/registry/auth/tokens/verification-keys.ts'
import { parseRepositoryName } from '../../../../src/storage/reference.ts'
import { keepLog } from '../../../support/log-lines.ts'
import { rejectsWith } from '../../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'

interface Pair {
  readonly privateKey: CryptoKey
  readonly jwk: JWK
}

async function pairOf(alg: JWSAlgorithm, members: Partial<JWK> = {}): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), ...members } }
}

const claims: JWTPayload = {
  iss: 'auth.example.com',
  aud: ['other', 'varve'],
  sub: 'alice',
  access: [{ type: 'repository', name: 'acme/app', actions: ['pull'] }],
}

function tokenBy(
  { privateKey }: Pair,
  alg: JWSAlgorithm,
  kid: string | undefined,
  more: JWTPayload = {},
): Promise<string> {
  return new SignJWT({ ...claims, ...more })
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
    .setExpirationTime('5m')
    .sign(privateKey)
}

const verifierOf = (keys: VerificationKeys) =>
  new TokenVerifier(keys, { issuer: 'auth.example.com', audience: 'varve', isOwn: false })

const pull: Access = { kind: 'repository', name: parseRepositoryName('acme/app'), action: 'pull' }
const request = { scheme: 'https', host: 'registry.example.com', address: '192.0.2.1' } as const

describe('The keys of another token service', () => {
  it('without a name have their thumbprint for one (RFC 7638, 3.1; RFC 8037, A.3)', async () => {
    const rsa = {
      kty: 'RSA',
      n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
      e: 'AQAB',
      alg: 'RS256',
    }
    const ed25519 = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    const { keys } = await parseJwks(JSON.stringify({ keys: [rsa, ed25519] }))
    assert.deepEqual(
      keys.map(({ kid }) => kid),
      ['NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs', 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'],
    )
  })

  it('lose their private parts, and secrets are left out', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(privateKey)
    const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 's', alg: 'HS256' }
    const { keys } = await parseJwks(JSON.stringify({ keys: [jwk, secret] }))
    assert.deepEqual(
      keys.map(key => Object.keys(key).sort()),
      [['crv', 'kid', 'kty', 'x', 'y']],
    )
  })

  it('are none in junk', async () => {
    const many = JSON.stringify({ keys: Array.from({ length: 1000 }, () => ({ kty: 'EC' })) })
    for (const text of ['', '{}', '[]', '{"keys":[]}', '{"keys":[{"kty":"oct","k":"x"}]}', many])
      await assert.rejects(parseJwks(text), text)
  })
})

describe('A file of keys', () => {
  const kept = keepLog()
  const { log } = kept
  let directory: TemporaryDirectory
  let path: string
  let first: Pair
  let second: Pair

  before(async () => {
    first = await pairOf('ES256', { kid: 'first' })
    second = await pairOf('ES256', { kid: 'second' })
  })
  beforeEach(async () => {
    directory = await temporaryDirectory()
    path = join(directory.path, 'jwks.json')
  })
  afterEach(() => directory.remove())

  const write = async (...keys: readonly JWK[]) => {
    await writeFile(`${path}.new`, JSON.stringify({ keys }), { mode: 0o644 })
    await rename(`${path}.new`, path)
  }

  it('verifies by all algorithms that have a public key, with and without a name', async () => {
    const algorithms = [
      'ES256',
      'ES384',
      'EdDSA',
      'RS256',
      'RS384',
      'RS512',
      'PS256',
      'PS384',
      'PS512',
    ] as const
    const pairs = await Promise.all(algorithms.map(alg => pairOf(alg, { kid: alg, use: 'sig', alg })))
    await write(...pairs.map(({ jwk }) => jwk))
    const verifier = verifierOf(await JwksFile.open(path, log))
    for (const [index, alg] of algorithms.entries())
      for (const kid of [alg, undefined]) {
        const token = await tokenBy(pairs[index] as Pair, alg, kid)
        assert.equal((await verifier.verify(token))?.account, 'alice', `${alg} ${kid}`)
      }
  })

  it('tries several keys on a token that does not name its own', async () => {
    await write(...[first, second].map(({ jwk: { kid: _kid, ...jwk } }) => jwk))
    const verifier = verifierOf(await JwksFile.open(path, log))
    for (const pair of [first, second])
      assert.ok(await verifier.verify(await tokenBy(pair, 'ES256', undefined)))
    assert.equal(await verifier.verify(await tokenBy(await pairOf('ES256'), 'ES256', undefined)), undefined)
  })

  it('refuses what is signed by a secret, or made for encryption', async () => {
    const encryption = await pairOf('ES256', { kid: 'e', use: 'enc' })
    await write(first.jwk, encryption.jwk, { kty: 'oct', k: 'c2VjcmV0', kid: 's' })
    const verifier = verifierOf(await JwksFile.open(path, log))
    assert.equal(await verifier.verify(await tokenBy(encryption, 'ES256', 'e')), undefined)
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 's' })
      .setExpirationTime('5m')
      .sign(Buffer.from('secret'))
    assert.equal(await verifier.verify(token), undefined)
  })

  it('believes its issuer, and for this registry only; our own claim says nothing', async () => {
    await write(first.jwk)
    const verifier = verifierOf(await JwksFile.open(path, log))
    for (const more of [{ iss: 'varve' }, { aud: 'other' }, { aud: [] }])
      assert.equal(await verifier.verify(await tokenBy(first, 'ES256', 'first', more)), undefined)
    const own = { varve: { rule: 'mine', admin: true, credential: 'x' } }
    const content = await verifier.verify(await tokenBy(first, 'ES256', 'first', own))
    assert.deepEqual([content?.isAdmin, content?.subject], [false, undefined])
  })

  it('gives accounts whose names are none here a first part of their own', async () => {
    await write(first.jwk)
    const verifier = verifierOf(await JwksFile.open(path, log))
    for (const [sub, account] of [
      ['alice', 'alice'],
      ['', null],
      ['Alice', 'external/Alice'],
      ['123:abc', 'external/123:abc'],
    ] as const)
      assert.equal((await verifier.verify(await tokenBy(first, 'ES256', 'first', { sub })))?.account, account)
    for (const sub of ['Alice Smith', 'a\nb', 'x'.repeat(300)])
      assert.equal(await verifier.verify(await tokenBy(first, 'ES256', 'first', { sub })), undefined)
  })

  it('is read again when it changes, and what is gone from it counts no more', async () => {
    await write(first.jwk)
    const verifier = verifierOf(await JwksFile.open(path, log))
    const [one, two] = [await tokenBy(first, 'ES256', 'first'), await tokenBy(second, 'ES256', 'second')]
    assert.ok(await verifier.verify(one))
    assert.equal(await verifier.verify(two), undefined)
    await write(second.jwk)
    assert.ok(await verifier.verify(two))
    assert.equal(await verifier.verify(one), undefined)
  })

  it('that is broken leaves the keys as they were, and is logged once', async () => {
    await write(first.jwk)
    const verifier = verifierOf(await JwksFile.open(path, log))
    const before = kept.lines().length
    const token = () => tokenBy(first, 'ES256', 'first')
    await writeFile(path, '{"keys": [')
    assert.ok(await verifier.verify(await token()))
    await rm(path)
    assert.ok(await verifier.verify(await token()))
    assert.equal(kept.lines().length, before + 1)
    await write(second.jwk)
    assert.equal(await verifier.verify(`${await token()}`), undefined)
  })

  it('is refused at the start when it is missing, writable by others, or no JWKS', async () => {
    await rejectsWith('invalid', JwksFile.open(path, log))
    await write(first.jwk)
    await chmod(path, 0o666)
    const { message } = await rejectsWith('invalid', JwksFile.open(path, log))
    assert.match(message, /chmod o-w/)
    await writeFile(path, 'junk')
    await chmod(path, 0o644)
    await rejectsWith('invalid', JwksFile.open(path, log))
  })

  it('lets callers do what their tokens say, and sends others to the other service', async () => {
    await write(first.jwk)
    const verifier = verifierOf(await JwksFile.open(path, log))
    const realm = 'https://auth.example.com/token'
    const access = new TokenAccess({ verifier, service: 'varve', realm })
    const authorization = `Bearer ${await tokenBy(first, 'ES256', 'first')}`
    const caller = await access.authorize({ ...request, authorization }, [pull])
    assert.deepEqual([caller.account, caller.isAdmin], ['alice', false])
    assert.equal((await caller.decide({ ...pull, action: 'push' } as Access)).isAllowed, false)
    for (const other of [undefined, 'Basic YWxpY2U6eA==', 'Bearer vrv_x']) {
      const { details } = await rejectsWith(
        'unauthorized',
        access.authorize({ ...request, authorization: other }, [pull]),
      )
      assert.match(
        details.challenge ?? '',
        /^Bearer realm="https:\/\/auth\.example\.com\/token",service="varve"/,
      )
    }
    const list = { access: [{ type: 'registry', name: 'catalog', actions: ['*'] }] }
    const lister = await access.authorize(
      { ...request, authorization: `Bearer ${await tokenBy(first, 'ES256', 'first', list)}` },
      [{ kind: 'catalog' }],
    )
    assert.equal((await lister.decide(pull)).isAllowed, true)
  })
})

describe('An address of keys', () => {
  const kept = keepLog()
  const { log } = kept
  let server: Server
  let url: URL
  let pair: Pair
  let questions = 0
  let answer: (response: ServerResponse) => void
  let now = 0

  before(async () => {
    pair = await pairOf('ES256', { kid: 'first' })
    server = createServer((_request, response) => {
      questions += 1
      answer(response)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`)
  })
  after(() => server.close())
  beforeEach(() => {
    questions = 0
    now = 1_000_000
    answer = give(pair.jwk)
  })

  const give =
    (...keys: readonly JWK[]) =>
    (response: ServerResponse) =>
      response.end(JSON.stringify({ keys }))
  const open = () => new JwksUrl({ url, log, now: () => now })
  const token = (kid = 'first', by = pair) => tokenBy(by, 'ES256', kid)

  it('is asked when a token comes, once for many', async () => {
    await using keys = open()
    const verifier = verifierOf(keys)
    const tokens = await Promise.all(Array.from({ length: 20 }, () => token()))
    for (const content of await Promise.all(tokens.map(text => verifier.verify(text))))
      assert.equal(content?.account, 'alice')
    assert.equal(questions, 1)
  })

  it('is asked for unknown keys now and then only', async () => {
    await using keys = open()
    const verifier = verifierOf(keys)
    assert.ok(await verifier.verify(await token()))
    for (let count = 0; count < 20; count += 1)
      assert.equal(await verifier.verify(await token(`unknown${count}`)), undefined)
    assert.equal(questions, 1)
    const next = await pairOf('ES256', { kid: 'next' })
    answer = give(pair.jwk, next.jwk)
    now += 30_000
    assert.ok(await verifier.verify(await token('next', next)))
    assert.equal(questions, 2)
  })

  it('is asked again after a while, and what is gone counts no more', async () => {
    await using keys = open()
    const verifier = verifierOf(keys)
    const text = await token()
    assert.ok(await verifier.verify(text))
    answer = give((await pairOf('ES256', { kid: 'next' })).jwk)
    now += 600_000
    assert.equal(await verifier.verify(await token()), undefined)
    assert.equal(await verifier.verify(text), undefined)
  })

  it('is asked again after that while, however the clock is set, and what is gone counts no more', async t => {
    const elapsed = performance.now.bind(performance)
    for (const changeMs of [-24 * 3_600_000, -1_000, 1_000]) {
      answer = give(pair.jwk)
      await using keys = new JwksUrl({ url, log })
      const verifier = verifierOf(keys)
      const text = await token()
      assert.ok(await verifier.verify(text))
      answer = give((await pairOf('ES256', { kid: 'next' })).jwk)
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() + changeMs })
      const later = t.mock.method(performance, 'now', () => elapsed() + 600_000)
      assert.equal(await verifier.verify(text), undefined)
      later.mock.restore()
      t.mock.timers.reset()
    }
  })

  it('may be away once its keys are known, which is logged once', async () => {
    await using keys = open()
    const verifier = verifierOf(keys)
    assert.ok(await verifier.verify(await token()))
    const before = kept.lines().length
    answer = response => response.writeHead(503).end()
    for (let count = 0; count < 3; count += 1) {
      now += 600_000
      assert.ok(await verifier.verify(await token('first')))
    }
    assert.equal(questions, 4)
    assert.equal(kept.lines().length, before + 1)
  })

  const bad: readonly [what: string, answer: (response: ServerResponse) => void][] = [
    ['an error', response => response.writeHead(500).end()],
    ['a redirect', response => response.writeHead(302, { location: '/elsewhere' }).end()],
    ['junk', response => response.end('<html>')],
    ['no key', response => response.end('{"keys":[]}')],
    ['too much', response => response.end(`{"keys":[],"x":"${'x'.repeat(2_000_000)}"}`)],
    [
      'half of it',
      response => response.writeHead(200, { 'content-length': 100 }).end('{', () => response.destroy()),
    ],
  ]
  for (const [what, given] of bad)
    it(`that answers with ${what} makes no token good, and none bad`, async () => {
      await using keys = open()
      answer = given
      const error = await rejectsWith('unavailable', verifierOf(keys).verify(await token()))
      assert.match(error.message, /token service http:\/\/127\.0\.0\.1/)
      answer = give(pair.jwk)
      await rejectsWith('unavailable', verifierOf(keys).verify(await token()))
      now += 5_000
      assert.ok(await verifierOf(keys).verify(await token()))
    })

  it('is not waited for by one who gives up, while others wait on', async () => {
    await using keys = open()
    const verifier = verifierOf(keys)
    const asked = Promise.withResolvers<ServerResponse>()
    answer = response => asked.resolve(response)
    const giveUp = new AbortController()
    const reason = new Error('given up')
    const [one, other] = [
      verifier.verify(await token(), { signal: giveUp.signal }),
      verifier.verify(await token()),
    ]
    const response = await asked.promise
    giveUp.abort(reason)
    await assert.rejects(one, reason)
    give(pair.jwk)(response)
    assert.equal((await other)?.account, 'alice')
  })
})
