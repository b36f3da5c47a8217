import assert from 'node:assert/strict'
import { createHmac, createSign, generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import {
  base64url,
  CompactSign,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { AccessPolicy } from '../../../../src/registry/auth/access-policy.ts'
import type { TokenContent } from '../../../../src/registry/auth/tokens/token-claims.ts'
import { parseAccountName } from '../../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../../src/storage/metadata/sqlite.ts'
import { KnownIdentities } from '../../../support/known-identities.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'
import { type TokenParts, tokenParts } from '../../../support/token-parts.ts'

const start = Date.UTC(2030, 0, 1)
const startSeconds = start / 1000
const pull = { type: 'repository', name: 'acme/app', actions: ['pull'] }
const alice: Omit<TokenContent, 'id'> = {
  account: parseAccountName('alice'),
  isAdmin: false,
  rule: 'alice is a guest of acme',
  access: [pull],
}

describe('Access tokens', () => {
  const resources = new AsyncDisposableStack()
  let metadata: Metadata
  let parts: TokenParts
  let now = start

  before(async () => {
    const directory = resources.use(await temporaryDirectory())
    metadata = resources.use(await openSqliteMetadata(join(directory.path, 'varve.db')))
    parts = openParts()
  })
  after(() => resources.disposeAsync())
  beforeEach(() => {
    now = start
  })

  function openParts(): TokenParts {
    const policy = new AccessPolicy({ tenants: metadata, anonymous: true, admins: [] })
    return tokenParts({ metadata, policy, logins: { identities: new KnownIdentities() }, now: () => now })
  }

  const verify = (text: string) => parts.verifier.verify(text)

  /** Claims as ours are, but for these. */
  function claims(more: Record<string, unknown> = {}): JWTPayload {
    return {
      iss: 'varve',
      aud: 'varve',
      sub: 'alice',
      jti: 'x',
      iat: startSeconds,
      nbf: startSeconds,
      exp: startSeconds + 300,
      access: [pull],
      varve: { rule: 'r' },
      ...more,
    }
  }

  /** A token that our own key has signed, so that nothing but its content can be wrong. */
  async function signed(payload: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
    const { id: kid, key } = await parts.keys.signer()
    return await new SignJWT(payload)
      .setProtectedHeader({ typ: 'JWT', alg: 'ES256', kid, ...header })
      .sign(key)
  }

  it('say what they were given for, and to whom', async () => {
    const { text, id } = await parts.issuer.issue(alice)
    assert.deepEqual(await verify(text), { ...alice, id })
    const nobody = { ...alice, account: null, rule: 'acme/app is public' }
    const { text: anonymous, id: other } = await parts.issuer.issue(nobody)
    assert.deepEqual(await verify(anonymous), { ...nobody, id: other })
  })

  it('have the claims of the protocol', async () => {
    const { text, issuedAt, expiresInSeconds, id } = await parts.issuer.issue({ ...alice, access: [] })
    const header: unknown = decodeProtectedHeader(text)
    const payload = decodeJwt(text)
    const { id: kid } = await parts.keys.signer()
    assert.deepEqual(header, { typ: 'JWT', alg: 'ES256', kid })
    const { varve: _own, ...standard } = payload
    assert.deepEqual(standard, {
      iss: 'varve',
      aud: 'varve',
      sub: 'alice',
      jti: id,
      iat: startSeconds,
      nbf: startSeconds,
      exp: startSeconds + 300,
      access: [],
    })
    assert.deepEqual([issuedAt.getTime(), expiresInSeconds], [start, 300])
  })

  it('carry the identity where the catalog is wanted, as it was', async () => {
    const subject = {
      account: parseAccountName('github/org/app'),
      isAdmin: true,
      credential: 'token:abc',
      scopes: [{ pattern: 'acme/**', actions: ['pull', 'push'] as const }],
      memberships: [{ tenant: 'acme' as never, role: 'owner' as const }],
    }
    const content = { ...alice, account: subject.account, isAdmin: true, subject }
    const { text, id } = await parts.issuer.issue(content)
    assert.deepEqual(await verify(text), { ...content, id })
  })

  it('are good until they expire, and a minute longer, remembered or not', async () => {
    const { text } = await parts.issuer.issue(alice)
    for (const fresh of [true, false])
      for (const [ms, isGood] of [
        [0, true],
        [359_999, true],
        [360_000, false],
        [-60_000, true],
        [-60_001, false],
      ] as const) {
        if (fresh) parts = openParts()
        now = start + ms
        assert.equal((await verify(text)) !== undefined, isGood, `${ms} ${fresh}`)
      }
  })

  it('are good in every process, and after a rotation', async () => {
    const { text } = await parts.issuer.issue(alice)
    assert.ok(await openParts().verifier.verify(text))
    now += 2_000
    await parts.keys.rotate()
    assert.ok(await verify(text))
    assert.ok(await openParts().verifier.verify(text))
  })

  it('are good for nothing any more when their key was forgotten, though they were remembered', async () => {
    const { text } = await parts.issuer.issue(alice)
    assert.ok(await verify(text))
    now += 2_000
    await parts.keys.rotate({ forgetOld: true })
    assert.equal(await verify(text), undefined)
  })

  it('end within a minute when another process forgets their key, though nothing else is asked here', async () => {
    const [serving, command] = [openParts(), openParts()]
    const { text } = await serving.issuer.issue(alice)
    assert.ok(await serving.verifier.verify(text))
    now += 2_000
    await command.keys.rotate({ forgetOld: true })
    for (let second = 0; second < 60; second += 5) {
      now += 5_000
      await serving.verifier.verify(text)
    }
    assert.equal(await serving.verifier.verify(text), undefined)
  })

  it('are not issued when they would be too long to be sent', async () => {
    const access = Array.from({ length: 100 }, (_, index) => ({
      ...pull,
      name: `${'a'.repeat(240)}${index}`,
    }))
    await assert.rejects(parts.issuer.issue({ ...alice, access }), /too long to be sent/)
    const { text } = await parts.issuer.issue({ ...alice, access: access.slice(0, 50) })
    assert.ok(await verify(text))
  })

  describe('that are forged are refused:', () => {
    it('without a signature (alg none)', async () => {
      assert.equal(await verify(new UnsecuredJWT(claims()).encode()), undefined)
      const { id: kid } = await parts.keys.signer()
      for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
        const header = base64url.encode(JSON.stringify({ alg, kid, typ: 'JWT' }))
        const body = base64url.encode(JSON.stringify(claims()))
        for (const signature of ['', 'AA'])
          assert.equal(await verify(`${header}.${body}.${signature}`), undefined)
      }
    })

    it('with the signature taken away, or that of another token', async () => {
      const [header, body] = (await signed(claims())).split('.')
      const other = (await signed(claims({ sub: 'bob' }))).split('.')[2]
      assert.equal(await verify(`${header}.${body}.`), undefined)
      assert.equal(await verify(`${header}.${body}`), undefined)
      assert.equal(await verify(`${header}.${body}.${other}`), undefined)
      assert.equal(await verify(`${header}.${body}.${Buffer.alloc(64).toString('base64url')}`), undefined)
    })

    it('with the public key as the secret of an HMAC', async () => {
      const { id: kid } = await parts.keys.signer()
      const [jwk] = await parts.keys.publicKeys()
      const [key] = await parts.keys.find({ alg: 'ES256', kid })
      assert.ok(key && jwk)
      const secrets = [await exportSPKI(key), JSON.stringify(jwk), kid, jwk.x, '']
      for (const alg of ['HS256', 'HS384', 'HS512'] as const)
        for (const secret of secrets) {
          const header = base64url.encode(JSON.stringify({ alg, kid, typ: 'JWT' }))
          const body = base64url.encode(JSON.stringify(claims()))
          const mac = createHmac(`sha${alg.slice(2)}`, secret)
            .update(`${header}.${body}`)
            .digest('base64url')
          assert.equal(await verify(`${header}.${body}.${mac}`), undefined)
        }
    })

    it('by another key under the name of ours, or under its own', async () => {
      const { privateKey } = await generateKeyPair('ES256')
      const { id } = await parts.keys.signer()
      for (const kid of [id, 'A'.repeat(43), `${id} `, `../${id}`, undefined]) {
        const header = { typ: 'JWT', alg: 'ES256', ...(kid === undefined ? {} : { kid }) }
        const token = await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey)
        assert.equal(await verify(token), undefined, kid)
      }
    })

    it('by a key that they bring along, or say where to find', async () => {
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
      const jwk = await exportJWK(publicKey)
      const { id: kid } = await parts.keys.signer()
      for (const more of [
        { jwk },
        { jwk, kid },
        { x5c: ['MIIB'] },
        { x5c: ['MIIB'], kid },
        { jku: 'http://127.0.0.1:9/jwks.json' },
        { jku: 'http://127.0.0.1:9/jwks.json', kid },
        { x5u: 'http://127.0.0.1:9/x.pem', kid },
      ]) {
        const header = { typ: 'JWT', alg: 'ES256', ...more }
        const token = await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey)
        assert.equal(await verify(token), undefined)
      }
    })

    it('while keys in the header of a token that is ours change nothing', async () => {
      const { publicKey } = await generateKeyPair('ES256', { extractable: true })
      const jwk = await exportJWK(publicKey)
      assert.ok(await verify(await signed(claims(), { jwk, jku: 'http://127.0.0.1:9/' })))
    })

    it('with other algorithms than ours, be they good', async () => {
      const { id: kid } = await parts.keys.signer()
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const header = base64url.encode(JSON.stringify({ alg: 'RS256', kid, typ: 'JWT' }))
      const body = base64url.encode(JSON.stringify(claims()))
      const signature = createSign('sha256').update(`${header}.${body}`).sign(rsa.privateKey, 'base64url')
      assert.equal(await verify(`${header}.${body}.${signature}`), undefined)
      const { privateKey } = await generateKeyPair('EdDSA')
      const token = await new SignJWT(claims()).setProtectedHeader({ alg: 'EdDSA', kid }).sign(privateKey)
      assert.equal(await verify(token), undefined)
    })

    const wrong: readonly [what: string, claims: Record<string, unknown>][] = [
      ['for another registry', { aud: 'other' }],
      ['for several others', { aud: ['other', 'varve2'] }],
      ['for nobody', { aud: [] }],
      ['of another issuer', { iss: 'other' }],
      ['of an issuer that looks the same', { iss: 'varve ' }],
      ['expired', { exp: startSeconds - 60 }],
      ['not good yet', { nbf: startSeconds + 61 }],
      ['that never expire', { exp: undefined }],
      ['whose end is no number', { exp: `${startSeconds + 300}` }],
      ['without a name', { jti: undefined }],
      ['without access', { access: undefined }],
      ['with access that is no list', { access: pull }],
      ['with access of text', { access: ['repository:acme/app:pull'] }],
      ['with actions that are no list', { access: [{ ...pull, actions: 'pull' }] }],
      ['with a name that is a list', { access: [{ ...pull, name: ['acme/app'] }] }],
      ['with actions that are no text', { access: [{ ...pull, actions: [['pull']] }] }],
      [
        'with too many actions',
        { access: [{ ...pull, actions: Array.from({ length: 100 }, () => 'pull') }] },
      ],
      ['with too much access', { access: Array.from({ length: 2000 }, () => pull) }],
      ['without our own claim', { varve: undefined }],
      ['with our own claim gone wrong', { varve: { rule: 'r', admin: 'yes' } }],
      ['of an account that has no such name', { sub: 'Alice Smith' }],
      ['of an account that is no text', { sub: 7 }],
    ]
    for (const [what, change] of wrong)
      it(`ours, but ${what}`, async () => {
        const payload = Object.fromEntries(
          Object.entries(claims(change)).filter(([, value]) => value !== undefined),
        )
        assert.equal(await verify(await signed(payload)), undefined)
      })

    it('ours, with extensions that have to be understood', async () => {
      const { id: kid, key } = await parts.keys.signer()
      const token = await new SignJWT(claims())
        .setProtectedHeader({ alg: 'ES256', kid, crit: ['exp2'], exp2: 1 })
        .sign(key, { crit: { exp2: true } })
      assert.equal(await verify(token), undefined)
    })

    it('ours, whose end is beyond all numbers', async () => {
      const { id: kid, key } = await parts.keys.signer()
      const text = JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e999')
      const header = { typ: 'JWT', alg: 'ES256', kid }
      const token = await new CompactSign(Buffer.from(text)).setProtectedHeader(header).sign(key)
      assert.equal(await verify(token), undefined)
    })

    it('too long, or no token at all', async () => {
      const long = base64url.encode('x'.repeat(2_000_000))
      for (const text of [
        '',
        '.',
        '..',
        '...',
        'a.b.c',
        'a.b.c.d.e',
        `${long}.${long}.${long}`,
        '\u0000',
        '💥',
      ])
        assert.equal(await verify(text), undefined)
    })

    it('with any character changed', async () => {
      const text = await signed(claims())
      await fc.assert(
        fc.asyncProperty(
          fc.nat(text.length - 1),
          fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_', '.'),
          async (index, character) => {
            const changed = `${text.slice(0, index)}${character}${text.slice(index + 1)}`
            // Of the last character of a part, some bits say nothing.
            const isSame = changed.split('.').every((part, at) => {
              const original = text.split('.')[at] ?? ''
              return Buffer.from(part, 'base64url').equals(Buffer.from(original, 'base64url'))
            })
            if (!isSame) assert.equal(await verify(changed), undefined)
          },
        ),
      )
    })
  })

  it('never fail on junk', async () => {
    const part = fc.oneof(
      fc.string(),
      fc.json().map(text => base64url.encode(text)),
      fc
        .record({ alg: fc.constantFrom('ES256', 'none'), kid: fc.anything() })
        .map(header => base64url.encode(JSON.stringify(header) ?? '')),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 4 }), async texts => {
        assert.equal(await verify(texts.join('.')), undefined)
      }),
    )
  })
})
