/** Access tokens that nobody gave: all are refused as one that never was good, and let nobody in. */
import assert from 'node:assert/strict'
import { createHmac, createPrivateKey, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, describe, it } from 'node:test'
import {
  base64url,
  CompactEncrypt,
  CompactSign,
  type CryptoKey,
  exportJWK,
  exportSPKI,
  GeneralSign,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { SigningKeys } from '../../../src/registry/auth/tokens/signing-keys.ts'
import { TokenVerifier } from '../../../src/registry/auth/tokens/token-verifier.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'

const access = [{ type: 'repository', name: 'acme/app', actions: ['pull', 'push', 'delete'] }]

describe('A forged access token', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  /** The registry's own: with it, nothing is wrong with a token but what the test says. */
  let own: { readonly kid: string; readonly key: CryptoKey; readonly jwk: JWK }
  let foreign: { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey }
  let refusal: string

  before(async () => {
    registry = resources.use(await startAttacked())
    await registry.bearer('dave')
    own = await ownKey()
    foreign = await generateKeyPair('ES256', { extractable: true })
    refusal = (await show('a.b.c')).body
  })
  after(() => resources.disposeAsync())

  async function ownKey() {
    const [stored] = await registry.metadata.listSigningKeys()
    const jwk = JSON.parse(stored?.jwk ?? '') as JWK
    const key = (await importJWK(jwk, 'ES256')) as CryptoKey
    return { kid: stored?.id ?? '', key, jwk }
  }

  function claims(more: Record<string, unknown> = {}): JWTPayload {
    const now = Math.floor(Date.now() / 1000)
    return {
      iss: 'varve',
      aud: 'varve',
      sub: 'dave',
      jti: 'x',
      iat: now,
      nbf: now,
      exp: now + 300,
      access,
      varve: { rule: 'r' },
      ...more,
    }
  }

  /** Signed by the registry's own key. */
  const signed = (payload: object, header: Record<string, unknown> = {}) =>
    new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ typ: 'JWT', alg: 'ES256', kid: own.kid, ...header })
      .sign(own.key)

  const secretlySigned = (secret: Uint8Array, header: Record<string, unknown> = {}) =>
    new SignJWT(claims())
      .setProtectedHeader({ typ: 'JWT', alg: 'HS256', kid: own.kid, ...header })
      .sign(secret)

  async function show(token: string): Promise<{ status: number; challenge: string; body: string }> {
    const client = registry.with(`Bearer ${token}`)
    const { status, headers, bytes } = await client.send('GET', '/v2/acme/app/manifests/1')
    return { status, challenge: headers['www-authenticate'] ?? '', body: bytes.toString() }
  }

  /** The same of each, and the admin API takes it as little. */
  const refused = (...tokens: readonly string[]) =>
    registry.unharmed(async () => {
      for (const token of tokens) {
        const { status, challenge, body } = await show(token)
        assert.equal(status, 401, token.slice(0, 200))
        assert.match(
          challenge,
          /^Bearer realm="[^"]+",service="varve",scope="repository:acme\/app:pull",error="invalid_token"$/,
        )
        assert.equal(body, refusal)
        assert.equal((await registry.with(`Bearer ${token}`).send('GET', '/api/v1/whoami')).status, 401)
        const push = registry.with(`Bearer ${token}`).send('POST', '/v2/acme/app/blobs/uploads/')
        assert.equal((await push).status, 401)
      }
    })

  it('would be taken if nothing were wrong with it', async () => {
    assert.equal((await show(await signed(claims()))).status, 200)
  })

  it('with alg none, however that is written, is refused', async () => {
    const [, body] = (await signed(claims())).split('.')
    const headers = ['none', 'None', 'NONE', 'nOnE', '', ' none'].map(alg =>
      base64url.encode(JSON.stringify({ alg, typ: 'JWT', kid: own.kid })),
    )
    await refused(
      new UnsecuredJWT(claims()).encode(),
      ...headers.flatMap(header => [`${header}.${body}.`, `${header}.${body}.AA`]),
    )
    for (const header of headers) assert.notEqual((await show(`${header}.${body}`)).status, 200)
  })

  it('with no signature, an empty one, zeros, or one of an all-zero curve point, is refused', async () => {
    const [header, body] = (await signed(claims())).split('.')
    for (const signature of [
      '',
      'AA',
      base64url.encode(Buffer.alloc(64)),
      base64url.encode(Buffer.alloc(64, 255)),
    ])
      await refused(`${header}.${body}.${signature}`)
  })

  it('signed as HMAC by what is public (the key, the JWKS, nothing) is refused', async () => {
    const jwks = (await registry.with().send('GET', '/.well-known/jwks.json')).bytes
    const publicKey = (await importJWK(
      (JSON.parse(jwks.toString()) as { keys: JWK[] }).keys[0] ?? {},
      'ES256',
    )) as CryptoKey
    const pem = await exportSPKI(publicKey)
    const { x = '', y = '' } = own.jwk
    for (const secret of [
      jwks,
      Buffer.from(pem),
      Buffer.from(pem.trim()),
      Buffer.from(pem.replace(/-----.*-----|\n/g, ''), 'base64'),
      Buffer.from(JSON.stringify(await exportJWK(publicKey))),
      Buffer.concat([Buffer.from([4]), base64url.decode(x), base64url.decode(y)]),
      Buffer.from('varve'),
      Buffer.from('\0'),
    ])
      for (const alg of ['HS256', 'HS384', 'HS512']) await refused(await secretlySigned(secret, { alg }))
    const input = (await secretlySigned(Buffer.from('x'))).split('.').slice(0, 2).join('.')
    await refused(`${input}.${createHmac('sha256', '').update(input).digest('base64url')}`)
  })

  it('signed by another algorithm, or named as another one than it is signed by, is refused', async () => {
    for (const alg of ['RS256', 'PS256', 'ES384', 'Ed25519'] as const) {
      const { privateKey } = await generateKeyPair(alg)
      await refused(await new SignJWT(claims()).setProtectedHeader({ alg, kid: own.kid }).sign(privateKey))
    }
    const [, body, signature] = (await signed(claims())).split('.')
    for (const alg of ['ES384', 'RS256', 'EdDSA', 'es256', 'ES256K', 'HS256']) {
      const header = base64url.encode(JSON.stringify({ alg, kid: own.kid }))
      await refused(`${header}.${body}.${signature}`)
    }
  })

  it('signed by a key that nobody knows, under any name, is refused', async () => {
    for (const kid of [
      own.kid,
      undefined,
      '',
      '*',
      '../../../../dev/null',
      '/proc/self/environ',
      "x' OR '1'='1",
      "x' UNION SELECT 'a','{}',1 --",
      'https://attacker.example/key',
      'file:///etc/passwd',
      '__proto__',
      'constructor',
      'x'.repeat(43),
      'k'.repeat(10_000),
      own.kid.toUpperCase(),
    ])
      await refused(
        await new SignJWT(claims())
          .setProtectedHeader({ alg: 'ES256', ...(kid === undefined ? {} : { kid }) })
          .sign(foreign.privateKey),
      )
    for (const kid of [1, null, true, [own.kid], { $ne: '' }]) {
      const header = base64url.encode(JSON.stringify({ alg: 'ES256', kid }))
      const [, body, signature] = (await signed(claims())).split('.')
      await refused(`${header}.${body}.${signature}`)
    }
  })

  it('that brings its own key along, or says where it is, is refused, and nobody goes there', async () => {
    let asked = 0
    const lure = createServer((_, response) => {
      asked += 1
      response.end('{"keys":[]}')
    })
    lure.listen(0, '127.0.0.1')
    await once(lure, 'listening')
    const address = lure.address()
    const place = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/jwks`
    const jwk = await exportJWK(foreign.publicKey)
    for (const header of [
      { jwk },
      { jwk: { ...jwk, kid: own.kid } },
      { jku: place },
      { x5u: place },
      { x5c: [randomBytes(300).toString('base64')] },
      { jwk, jku: place, x5u: place },
    ])
      for (const kid of [{ kid: own.kid }, {}])
        await refused(
          await new SignJWT(claims())
            .setProtectedHeader({ alg: 'ES256', ...kid, ...header })
            .sign(foreign.privateKey),
        )
    assert.equal(asked, 0)
    lure.close()
    await once(lure, 'close')
  })

  const now = Math.floor(Date.now() / 1000)
  for (const [what, more] of [
    ['for another service', { aud: 'other' }],
    ['for a service that is called almost so', { aud: 'Varve' }],
    ['for a list without us', { aud: ['other', 'varve.example'] }],
    ['for nobody', { aud: undefined }],
    ['for an object', { aud: { varve: true } }],
    ['of another service', { iss: 'other' }],
    ['of nobody', { iss: undefined }],
    ['of a list of services', { iss: ['varve'] }],
    ['that has expired', { exp: now - 61 }],
    ['that has expired at the beginning of time', { exp: 0 }],
    ['that expired before', { exp: -1e15 }],
    ['that is not good yet', { nbf: now + 120 }],
    ['that was given in the future', { nbf: now + 120, iat: now + 120 }],
    ['without an end', { exp: undefined }],
    ['whose end is null', { exp: null }],
    ['whose end is a text', { exp: String(now + 300) }],
    ['whose end is a list', { exp: [now + 300] }],
    ['whose end is an object', { exp: { valueOf: now } }],
    ['whose end is true', { exp: true }],
    ['without a beginning', { nbf: undefined }],
    ['whose beginning is a text', { nbf: '0' }],
    ['without its name', { jti: undefined }],
    ['whose name is a number', { jti: 1 }],
    ['whose account is an object', { sub: { name: 'root' } }],
    ['whose account is a list', { sub: ['root'] }],
    ['whose access is a text', { access: 'repository:acme/app:pull' }],
    ['whose access is an object', { access: access[0] }],
    ['whose access is an object with a length', { access: { length: 1, 0: access[0] } }],
    ['whose access is in a list in a list', { access: [access] }],
    ['whose actions are a text', { access: [{ ...access[0], actions: 'pull' }] }],
    ['whose actions are an object', { access: [{ ...access[0], actions: { pull: true } }] }],
    ['with more actions than there can be', { access: [{ ...access[0], actions: Array(65).fill('pull') }] }],
    ['whose name is a list', { access: [{ ...access[0], name: ['acme/app'] }] }],
    ['without our own claim', { varve: undefined }],
    ['whose own claim is a list', { varve: [] }],
    ['whose own claim says admin in another way', { varve: { rule: 'r', admin: 'true' } }],
    ['whose own claim says admin with 1', { varve: { rule: 'r', admin: 1 } }],
  ] as const)
    it(`${what}, though our own key signed it, is refused`, async () => {
      const payload = Object.fromEntries(
        Object.entries(claims(more)).filter(([, value]) => value !== undefined),
      )
      await refused(await signed(payload))
    })

  for (const [what, text] of [
    ['twice the same claim, of which the last one is wrong', '{"exp":EXP,"exp":1,REST}'],
    ['an end beyond all numbers', '{"exp":1e999,REST}'],
    ['claims that are a list', '[{"exp":EXP,REST}]'],
    ['claims that are null', 'null'],
    ['claims that are cut', '{"exp":EXP,'],
    ['claims with something after them', '{"exp":EXP,REST} {}'],
  ] as const)
    it(`with ${what}, though our own key signed it, is refused`, async () => {
      const { exp, ...rest } = claims()
      const body = text.replace('EXP', String(exp)).replace('REST', JSON.stringify(rest).slice(1, -1))
      await refused(
        await new CompactSign(Buffer.from(body))
          .setProtectedHeader({ alg: 'ES256', kid: own.kid })
          .sign(own.key),
      )
    })

  it('whose claims stand on the prototype gives nothing', async () => {
    const text = JSON.stringify(claims({ access: undefined, varve: undefined })).slice(1, -1)
    const rest = JSON.stringify({ access, varve: { rule: 'r', admin: true } })
    for (const key of ['__proto__', 'constructor', 'prototype'])
      await refused(
        await new CompactSign(Buffer.from(`{${text},"${key}":${rest}}`))
          .setProtectedHeader({ alg: 'ES256', kid: own.kid })
          .sign(own.key),
      )
    // Of an entry that is there, the name alone decides.
    const odd = `[{"type":"repository","__proto__":{"name":"acme/app","actions":["pull"]},"name":"other/app","actions":[]}]`
    const body = JSON.stringify(claims({ access: 'ODD' })).replace('"ODD"', odd)
    const token = await new CompactSign(Buffer.from(body))
      .setProtectedHeader({ alg: 'ES256', kid: own.kid })
      .sign(own.key)
    const { status, challenge } = await show(token)
    assert.equal(status, 401)
    assert.match(challenge, /error="insufficient_scope"$/)
  })

  it('with actions that are almost those that count gives nothing', async () => {
    for (const actions of [
      ['PULL'],
      ['pull '],
      [' pull'],
      ['pull,push'],
      ['pull\0'],
      ['**'],
      ['pu*'],
      [''],
    ]) {
      const { status, challenge } = await show(await signed(claims({ access: [{ ...access[0], actions }] })))
      assert.equal(status, 401, JSON.stringify(actions))
      assert.match(challenge, /error="insufficient_scope"$/)
    }
    for (const more of [
      { type: 'Repository' },
      { type: 'repository(plugin)' },
      { type: 'registry' },
      { name: 'acme/ap' },
      { name: 'acme/app/' },
      { name: 'acme/*' },
      { name: '*' },
      { name: 'ACME/app' },
      { name: 'acme/../acme/app' },
      { name: 'acme/app\0' },
      { name: 'acme%2fapp' },
    ])
      assert.equal((await show(await signed(claims({ access: [{ ...access[0], ...more }] })))).status, 401)
  })

  it('with extensions that have to be understood is refused', async () => {
    // Those that jose knows it would sign; the others are put in front of a good signature's place by hand.
    const [, body, signature] = (await signed(claims())).split('.')
    for (const crit of [['exp'], ['b64'], ['x'], [], 'exp', [1], null, ['__proto__']]) {
      const header = base64url.encode(
        JSON.stringify({ alg: 'ES256', kid: own.kid, crit, x: 1, b64: true, exp: 1 }),
      )
      await refused(`${header}.${body}.${signature}`)
    }
    const header = base64url.encode(JSON.stringify({ alg: 'ES256', kid: own.kid, crit: ['x'], x: 1 }))
    const key = createPrivateKey({ key: { ...own.jwk, kty: 'EC' }, format: 'jwk' })
    const input = `${header}.${body}`
    const good = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    await refused(`${input}.${good}`)
    // With the other form of signature it is none of ours, either.
    const plain = (await signed(claims())).split('.').slice(0, 2).join('.')
    await refused(`${plain}.${sign('sha256', Buffer.from(plain), key).toString('base64url')}`)
  })

  it('with two signatures, as JSON, or in more or fewer parts, is refused', async () => {
    const token = await signed(claims())
    const [header, body, signature] = token.split('.')
    const general = await new GeneralSign(Buffer.from(JSON.stringify(claims())))
      .addSignature(own.key)
      .setProtectedHeader({ alg: 'ES256', kid: own.kid })
      .addSignature(foreign.privateKey)
      .setProtectedHeader({ alg: 'ES256', kid: own.kid })
      .sign()
    await refused(
      base64url.encode(JSON.stringify(general)),
      `${token}.${signature}`,
      `${header}.${body}.${signature}.${signature}.x`,
      `${header}.${body}`,
      header ?? '',
    )
    const json = await registry.with(`Bearer ${JSON.stringify(general)}`).send('GET', '/v2/')
    assert.equal(json.status, 401)
  })

  it('that is encrypted is refused', async () => {
    const { publicKey } = await generateKeyPair('ECDH-ES', { extractable: true })
    const inner = Buffer.from(await signed(claims()))
    await refused(
      await new CompactEncrypt(inner)
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: own.kid })
        .encrypt(publicKey),
      await new CompactEncrypt(inner)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: own.kid })
        .encrypt(randomBytes(32)),
    )
  })

  it('with padding, other alphabets or blanks in it is refused', async () => {
    const token = await signed(claims())
    const [header = '', body = '', signature = ''] = token.split('.')
    await refused(
      `${token}=`,
      `${token}==`,
      `${header}.${body}.${signature}=`,
      `${header}.${body}.+${signature.slice(1)}`,
      `${header}.${body}.${signature.slice(0, -1)}`,
      `${header}..${signature}`,
      `.${body}.${signature}`,
      `..`,
    )
    for (const authorization of [
      `Bearer ${header}=.${body}.${signature}`,
      `Bearer ${token} ${token}`,
      `Bearer ${token},Bearer ${token}`,
      `Bearer ${header} .${body}.${signature}`,
      `Bearer "${token}"`,
      `Bearer token=${token}`,
      `Bearer\t${token}`,
      `Bearer:${token}`,
      token,
      `Token ${token}`,
    ])
      assert.equal((await registry.with(authorization).send('GET', '/v2/acme/app/tags/list')).status, 401)
  })

  it('of another service, made in the same way, is refused', async () => {
    await using other = await startAttacked({ 'auth.service': 'varve' })
    const token = (await other.bearer('dave', 'repository:acme/app:pull,push')).slice('Bearer '.length)
    await refused(token)
  })

  it('that is a megabyte long, or holds claims that are deep, is refused quickly', async () => {
    const deep = `${'['.repeat(8000)}${']'.repeat(8000)}`
    const body = JSON.stringify(claims({ access: 'DEEP' })).replace('"DEEP"', deep)
    await refused(
      await new CompactSign(Buffer.from(body))
        .setProtectedHeader({ alg: 'ES256', kid: own.kid })
        .sign(own.key),
    )
    const { status } = await registry.raw(
      `GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${'a'.repeat(1024 * 1024)}\r\nConnection: close\r\n\r\n`,
    )
    assert.equal(status, 431)
  })

  it('by a key that was taken out of use is refused, be it remembered', async () => {
    const token = (await registry.bearer('dave', 'repository:acme/app:pull')).slice('Bearer '.length)
    assert.equal((await show(token)).status, 200)
    // As an operator does who believes that a key was stolen; processes that serve hear of it within a minute.
    const settings = { rotateAfterMs: 1e9, tokenLifetimeMs: 300_000 }
    await new SigningKeys(registry.metadata, settings).rotate({ forgetOld: true })
    const keys = new SigningKeys(registry.metadata, settings)
    const verifier = new TokenVerifier(keys, { issuer: 'varve', audience: 'varve', isOwn: true })
    assert.equal(await verifier.verify(token), undefined)
  })
})
