import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import type { HostLookup } from '../../../src/storage/remote/connections.ts'
import { ConfiguredCredentials } from '../../../src/storage/remote/credentials/configured-credentials.ts'
import type { Credentials } from '../../../src/storage/remote/credentials/credentials.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import { addressSecret } from '../../support/hostile/forms.ts'
import { Liar, type Lie } from '../../support/hostile/liar.ts'
import { assertNoSecret, type OwnPlace, openOwnPlace, quickRemote } from '../../support/hostile/stores.ts'
import { app, copyFrom, tag } from '../../support/hostile/victims.ts'
import { type Pair, TestAuthority } from '../../support/test-authority.ts'
import { testSecret } from '../../support/test-secrets.ts'

const password = testSecret('liar')
const basic = `Basic ${Buffer.from(`us:${password}`).toString('base64')}`
const identity = testSecret('identity')

const users: Readonly<Record<string, Credentials>> = {
  password: { kind: 'password', username: 'us', password },
  identity: { kind: 'identity-token', token: identity },
}

const toLoopback: HostLookup = (_hostname, _, callback) =>
  callback(null, [{ address: '127.0.0.1', family: 4 }])

/** All secrets that it was sent, in whatever form. */
function secretsAt(liar: Liar): string[] {
  const texts = liar.asked.flatMap(({ authorization = '', text, query }) => [
    authorization,
    text,
    String(query),
  ])
  return texts.filter(text => text.includes(password) || text.includes(basic) || text.includes(identity))
}

describe('secrets of ours, with a registry that lies', () => {
  const stack = new AsyncDisposableStack()
  let to: OwnPlace
  let tls: Pair
  let authority: TestAuthority
  before(async () => {
    to = stack.use(await openOwnPlace())
    authority = await TestAuthority.create()
    const names = ['liar.example', 'elsewhere.example'].map(value => ({ kind: 'dns', value }) as const)
    tls = await authority.issue({ subject: '/CN=liar.example', names, use: 'serverAuth' })
  })
  after(() => stack.disposeAsync())

  const credentialsFor = (host: string): ConfiguredCredentials =>
    new ConfiguredCredentials({
      named: Object.entries(users).map(([name, credentials]) => ({
        name,
        registry: host,
        repositories: ['**'],
        secret: { kind: 'known', credentials },
      })),
    })

  /** Copies as somebody. @returns what has failed. */
  async function copyAs(liar: Liar, user: string | null, name: string, host = liar.host) {
    await using registries = new HttpRegistries({
      ...quickRemote,
      credentials: credentialsFor(host),
      connections: { authorities: authority.cert, lookup: toLoopback },
    })
    const source = registries.open(host, {
      credentials: user,
      retries: { attempts: 1, maxWaitMs: 0 },
    })
    try {
      await source.repository(app).get(tag)
      const { digest } = await source.repository(app).stat(tag)
      for (const blob of liar.image.graph.blobs.keys())
        await (await source.repository(app).openBlob(blob)).stream.toArray()
      await Array.fromAsync(source.repository(app).tags())
      await Array.fromAsync(source.repository(app).referrers(digest))
      return undefined
    } catch (error) {
      assert.ok(error instanceof DomainError, `${name}: ${String(error)}`)
      assertNoSecret(error.message, password, identity)
      return error
    }
  }

  for (const user of ['password', 'identity', null]) {
    const who = user ?? 'nobody'

    it(`go to the token service alone, and not to where the registry leads: ${who}`, async () => {
      await using elsewhere = await Liar.start('elsewhere', (asked, response, self) => {
        // Has the same blobs.
        if (asked.place === 'token') return false
        const body = [...liar.image.graph.blobs.values()].find(
          ({ length }) => asked.query.get('n') === String(length),
        )
        self.answer(response, asked.method, { status: 200, headers: {}, body: body ?? Buffer.alloc(0) })
        return true
      })
      await using liar = await Liar.start(`leads elsewhere ${who}`)
      liar.token = 'access-token-of-the-liar'
      liar.lie = (asked, response, self) => {
        if (asked.place !== 'blob') return false
        const { body } = self.truthOf({ ...asked, range: undefined })
        const location = `http://${elsewhere.host}/other?n=${body.length}&sig=${addressSecret}`
        response.writeHead(307, { location }).end()
        return true
      }
      assert.equal(await copyAs(liar, user, 'redirect'), undefined)
      assert.ok(elsewhere.asked.length > 0)
      assert.deepEqual(elsewhere.authorizations, [])
      assert.deepEqual(secretsAt(elsewhere), [])
      const sent = liar.asked.filter(({ place }) => place !== 'token')
      assert.ok(
        sent.every(({ authorization }) =>
          [undefined, 'Bearer access-token-of-the-liar'].includes(authorization),
        ),
      )
      assert.equal(secretsAt(liar).length > 0, user !== null)
    })

    it(`do not go on to where the token service redirects: ${who}`, async () => {
      await using third = await Liar.start('third')
      await using liar = await Liar.start(`token redirects ${who}`)
      liar.token = 'access-token-of-the-liar'
      liar.lie = (asked, response) => {
        if (asked.place !== 'token') return false
        response.writeHead(307, { location: `http://${third.host}/token?sig=${addressSecret}` }).end()
        return true
      }
      assert.ok(await copyAs(liar, user, 'token'))
      assert.deepEqual(secretsAt(third), [])
    })

    for (const [what, realm] of [
      ['plain HTTP', (port: number) => `http://liar.example:${port}/token`],
      ['plain HTTP of somebody else', (port: number) => `http://elsewhere.example:${port}/token`],
      ['another scheme', (port: number) => `ftp://liar.example:${port}/token`],
      ['nothing', () => ''],
    ] as const)
      it(`do not go to ${what} from a registry with TLS: ${who}`, async () => {
        await using plain = await Liar.start('plain')
        await using liar = await Liar.start(`realm ${what} ${who}`, undefined, tls)
        liar.token = 'access-token-of-the-liar'
        liar.realm = realm(plain.port)
        const failure = await copyAs(liar, user, what, `liar.example:${liar.port}`)
        assert.match(failure?.code ?? '', /unsupported|unauthorized/)
        assert.deepEqual(plain.asked, [])
        assert.deepEqual(secretsAt(liar), [])
      })

    it(`and nothing at all goes from TLS to plain HTTP: ${who}`, async () => {
      await using plain = await Liar.start('plain')
      for (const place of ['tag', 'blob', 'tags', 'referrers', 'token'] as const) {
        const lie: Lie = (asked, response) => {
          if (asked.place !== place) return false
          const location = `http://liar.example:${plain.port}${asked.path}?sig=${addressSecret}`
          response.writeHead(307, { location }).end()
          return true
        }
        await using liar = await Liar.start(`downgrade ${place} ${who}`, lie, tls)
        liar.token = 'access-token-of-the-liar'
        liar.realm = `https://liar.example:${liar.port}/token`
        const failure = await copyAs(liar, user, place, `liar.example:${liar.port}`)
        assert.match(
          failure?.code ?? '',
          /unsupported|unauthorized|unavailable/,
          `${place}: ${failure?.message}`,
        )
        assert.deepEqual(plain.asked, [])
      }
    })
  }

  for (const [what, body] of [
    ['of a megabyte', { token: 'x'.repeat(1024 * 1024) }],
    ['of 40 KB, which no header takes', { token: 'x'.repeat(40_000) }],
    ['that would be two headers', { token: 'a\r\nx-evil: 1' }],
    ['that is none', { token: 5 }],
    ['that runs out at once', { token: 'short', expires_in: -1e300 }],
    ['in a list', ['token']],
    ['for ever', { token: 'long', expires_in: 1e300 }],
  ] as const)
    it(`and a token ${what} does no harm`, async () => {
      await using liar = await Liar.start(`token ${what}`, (asked, response, self) => {
        if (asked.place === 'token') {
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
          return true
        }
        if (asked.authorization !== undefined) return false
        response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${self.host}/token"` }).end()
        return true
      })
      const failure = await copyFrom(liar, to.own, `tokens/${what.replaceAll(/[^a-z0-9]+/g, '-')}`)
      if (failure !== undefined) assertNoSecret(failure.message, 'x'.repeat(100))
      assert.ok(liar.asked.every(({ socket }) => socket !== null))
      assert.ok(liar.at('token').length < 60, `${liar.at('token').length} tokens`)
    })
})
