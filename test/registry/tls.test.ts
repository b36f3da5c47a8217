/** The registry on TLS: its certificate, those of its clients, and what is no TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { AccessController, Credentials } from '../../src/registry/auth/access-controller.ts'
import { clientCertificates } from '../../src/registry/auth/certificates/client-certificates.ts'
import { OpenAccess } from '../../src/registry/auth/open-access.ts'
import type { ServerTls } from '../../src/registry/server.ts'
import { addressRanges } from '../../src/storage/address-ranges.ts'
import { type Pair, serverRequest, TestAuthority } from '../support/test-authority.ts'
import { connectRaw } from '../support/raw-http.ts'
import { rejectsWith } from '../support/rejects.ts'
import { serveStub, type StubRegistry, type StubRegistryOptions } from '../support/stub-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly protocol: string | null
}

describe('The registry on TLS', () => {
  let directory: TemporaryDirectory
  let authority: TestAuthority
  let alice: Pair
  let files: ServerTls['files']

  const path = (name: string): string => join(directory.path, name)
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(path(name), text, { mode: 0o600 })
    return path(name)
  }
  const writePair = async ({ cert, key }: Pair): Promise<void> => {
    await write('cert.pem', cert)
    await write('key.pem', key)
  }

  before(async () => {
    directory = await temporaryDirectory()
    authority = await TestAuthority.create()
    await writePair(await authority.issue(serverRequest()))
    await write('clients.pem', authority.cert)
    alice = await authority.issue({ subject: '/CN=alice' })
    files = { certificate: path('cert.pem'), key: path('key.pem') }
  })
  after(() => directory.remove())

  const serve = (tls: Partial<ServerTls> = {}, options: StubRegistryOptions = {}): Promise<StubRegistry> =>
    serveStub({}, { ...options, tls: { files, clientCertificates: 'optional', ...tls } })

  const get = (url: string, options: ConnectionOptions & { headers?: Record<string, string> } = {}) =>
    new Promise<Answered>((resolve, reject) => {
      const asked = request(
        `${url.replace('127.0.0.1', 'localhost')}/livez`,
        { ca: authority.cert, agent: new Agent({ keepAlive: false }), ...options },
        response => {
          const socket = response.socket as TLSSocket
          const protocol = socket.getProtocol()
          response.resume().once('end', () => {
            resolve({ status: response.statusCode ?? 0, headers: response.headers, protocol })
          })
        },
      )
      asked.on('error', reject).end()
    })

  it('answers by https, and tells browsers to come so again', async () => {
    await using registry = await serve({}, { hstsSeconds: 600 })
    assert.match(registry.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    const { status, headers, protocol } = await get(registry.url)
    assert.equal(status, 200)
    assert.equal(protocol, 'TLSv1.3')
    assert.equal(headers['strict-transport-security'], 'max-age=600')
  })

  it('tells browsers nothing where it is told not to, or where there is no TLS', async () => {
    await using secure = await serve()
    assert.equal((await get(secure.url)).headers['strict-transport-security'], undefined)
    await using plain = await serveStub(
      {},
      { hstsSeconds: 600, trustedProxies: addressRanges(['127.0.0.0/8']) },
    )
    const headers = { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https' }
    const answer = await fetch(`${plain.url}/livez`, { headers })
    assert.equal(answer.headers.get('strict-transport-security'), null)
  })

  it('speaks TLS 1.2 and 1.3, or 1.3 alone, and HTTP/1.1 on it', async () => {
    await using both = await serve()
    assert.equal((await get(both.url, { maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2')
    await assert.rejects(get(both.url, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }))
    await using newest = await serve({ files: { ...files, minVersion: 'TLSv1.3' } })
    assert.equal((await get(newest.url)).protocol, 'TLSv1.3')
    await assert.rejects(get(newest.url, { maxVersion: 'TLSv1.2' }))
    const offered = await handshake(newest.url, { ALPNProtocols: ['h2', 'http/1.1'] })
    assert.equal(offered.alpnProtocol, 'http/1.1')
    offered.destroy()
    await assert.rejects(handshake(newest.url, { ALPNProtocols: ['h2'] }))
  })

  it('does not negotiate again on a connection', async () => {
    await using registry = await serve()
    const socket = await handshake(registry.url, { maxVersion: 'TLSv1.2' })
    const refused = await new Promise<Error | null>(resolve => {
      socket.once('error', resolve)
      socket.renegotiate({ rejectUnauthorized: true }, error => {
        if (error !== null) resolve(error)
      })
    })
    assert.match(String(refused), /NO_RENEGOTIATION|renegotiation/i)
    socket.destroy()
  })

  it('says so to who speaks plain HTTP, and serves others meanwhile', async () => {
    await using registry = await serve()
    const raw = await connectRaw(registry.url)
    raw.socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    const text = await raw.ended()
    assert.match(text, /^HTTP\/1\.1 400 [\s\S]*Connection: close\r\n[\s\S]*speaks TLS: call it by https/)
    const line = await registry.kept.find(({ message }) => message === 'malformed request')
    assert.deepEqual([line['status'], line['reason']], [400, 'ERR_SSL_HTTP_REQUEST'])
    assert.equal((await get(registry.url)).status, 200)
  })

  for (const [what, bytes] of [
    ['that is not finished', Buffer.from([0x16, 0x03])],
    ['of which nothing comes', Buffer.alloc(0)],
    ['that is none', Buffer.from('SSH-2.0-x\r\n')],
  ] as const)
    it(`cuts a connection with a handshake ${what}`, async () => {
      await using registry = await serve({}, { timeouts: { headersMs: 100 } })
      const raw = await connectRaw(registry.url)
      raw.socket.write(bytes)
      await raw.ended()
      await registry.kept.find(({ message }) => message === 'malformed request')
    })

  it('answers what is not HTTP on TLS as it does without', async () => {
    await using registry = await serve()
    const socket = await handshake(registry.url)
    socket.write('NONSENSE\r\n\r\n')
    assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 400 /)
    socket.destroy()
  })

  it('cuts idle connections and open handshakes when it stops', async () => {
    const registry = await serve()
    const idle = await handshake(registry.url)
    const half = connectPlain(Number(new URL(registry.url).port), '127.0.0.1').on('error', () => {})
    await once(half, 'connect')
    half.write(Buffer.from([0x16, 0x03]))
    const ended = [idle, half].map(socket => once(socket.resume(), 'close'))
    await get(registry.url)
    await registry.close()
    await Promise.all(ended)
    // The handshake would have been given up in the end, but nobody waits for that.
    assert.doesNotMatch(registry.kept.text(), /HANDSHAKE_TIMEOUT/)
  })

  it('does not start with files that it cannot use', async () => {
    const other = await write('other.pem', (await authority.issue(serverRequest())).key)
    const empty = await write('empty.pem', '# nothing\n')
    for (const [broken, name] of [
      [{ key: other }, /other\.pem/],
      [{ key: path('absent.pem') }, /absent\.pem/],
      [{ clientCa: empty }, /empty\.pem/],
    ] as const) {
      const error = await rejectsWith('invalid', serve({ files: { ...files, ...broken } }))
      assert.match(error.message, name)
    }
  })

  it('shows a new certificate when there is one, and the old one while the new one cannot be used', async () => {
    const problems: unknown[] = []
    const [problem, renewed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const before = await authority.issue(serverRequest())
    await writePair(before)
    await using registry = await serve({
      renewal: {
        everyMs: 10,
        onRenewed: () => renewed.resolve(),
        onProblem: error => {
          problems.push(error)
          problem.resolve()
        },
      },
    })
    const shown = async (): Promise<string> => {
      const socket = await handshake(registry.url)
      const fingerprint = socket.getPeerX509Certificate()?.fingerprint256 ?? ''
      socket.destroy()
      return fingerprint
    }
    const first = await shown()
    const next = await authority.issue(serverRequest())
    await write('cert.pem', next.cert)
    await problem.promise
    assert.equal(await shown(), first)
    await write('key.pem', next.key)
    await renewed.promise
    assert.notEqual(await shown(), first)
    assert.equal(problems.length, 1)
  })

  describe('with certificates of clients', () => {
    /** What the access controller is shown. */
    const serveAsking = async (
      tls: Partial<ServerTls> = {},
      options: StubRegistryOptions = {},
    ): Promise<{ registry: StubRegistry; seen: Credentials[] }> => {
      const seen: Credentials[] = []
      const open: AccessController = new OpenAccess()
      const access: AccessController = {
        authorize: (shown, ...rest) => {
          seen.push(shown)
          return open.authorize(shown, ...rest)
        },
      }
      const registry = await serve(
        { files: { ...files, clientCa: path('clients.pem') }, ...tls },
        { clientCertificates: clientCertificates('cn'), security: { access }, ...options },
      )
      return { registry, seen }
    }
    const ask = async (url: string, options: Parameters<typeof get>[1] = {}): Promise<void> =>
      await new Promise((resolve, reject) => {
        request(
          `${url.replace('127.0.0.1', 'localhost')}/v2/`,
          { ca: authority.cert, agent: new Agent({ keepAlive: false }), ...options },
          response => response.resume().once('end', () => resolve()),
        )
          .on('error', reject)
          .end()
      })

    it('knows whom they stand for, and the scheme of the connection', async () => {
      const { registry, seen } = await serveAsking()
      await using _ = registry
      await ask(registry.url, alice)
      assert.deepEqual([seen[0]?.certificate, seen[0]?.scheme], ['alice', 'https'])
    })

    it('takes who has none, or one of another authority, for nobody', async () => {
      const { registry, seen } = await serveAsking()
      await using _ = registry
      await ask(registry.url)
      await ask(registry.url, await (await TestAuthority.create()).issue({ subject: '/CN=alice' }))
      await ask(registry.url, await authority.issue({ subject: '/CN=alice', use: 'serverAuth' }))
      assert.deepEqual(
        seen.map(({ certificate }) => certificate),
        [undefined, undefined, undefined],
      )
    })

    it('takes a certificate for nobody’s as soon as it is no longer good', async () => {
      let now = Date.now()
      const { registry, seen } = await serveAsking(
        {},
        { clientCertificates: clientCertificates('cn', () => now) },
      )
      await using _ = registry
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.cert, ...alice })
      await ask(registry.url, { agent } as Parameters<typeof get>[1])
      now += 3 * 24 * 60 * 60 * 1000
      await ask(registry.url, { agent } as Parameters<typeof get>[1])
      agent.destroy()
      assert.deepEqual(
        seen.map(({ certificate }) => certificate),
        ['alice', undefined],
      )
    })

    it('of a trusted proxy says nothing of those for whom it speaks', async () => {
      const { registry, seen } = await serveAsking({}, { trustedProxies: addressRanges(['127.0.0.0/8']) })
      await using _ = registry
      await ask(registry.url, { ...alice, headers: { 'X-Forwarded-For': '192.0.2.1' } })
      await ask(registry.url, alice)
      assert.deepEqual(
        seen.map(({ certificate, address }) => [certificate, address]),
        [
          [undefined, '192.0.2.1'],
          [undefined, '127.0.0.1'],
        ],
      )
    })

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      it(`knows who resumes a session of ${version}, and that nobody resumed nobody's`, async () => {
        const { registry, seen } = await serveAsking()
        await using _ = registry
        // A session keeps the certificate of its first handshake, and what was found of it.
        const stranger = await (await TestAuthority.create()).issue({ subject: '/CN=alice' })
        for (const [pair, account] of [
          [alice, 'alice'],
          [{}, undefined],
          [stranger, undefined],
        ] as const) {
          const options = { ...pair, minVersion: version, maxVersion: version }
          const first = await handshake(registry.url, options)
          // In TLS 1.3 it comes after the handshake.
          const resumable = once(first, 'session') as Promise<[Buffer]>
          first.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
          const session = version === 'TLSv1.2' ? first.getSession() : (await resumable)[0]
          await once(first, 'data')
          first.destroy()
          const second = await handshake(registry.url, { ...options, session: session ?? Buffer.alloc(0) })
          assert.equal(second.isSessionReused(), true)
          second.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
          await once(second, 'data')
          second.destroy()
          assert.deepEqual(
            seen.splice(0).map(({ certificate }) => certificate),
            [account, account],
          )
        }
      })

    it('refuses connections without a good one, where it is told to', async () => {
      const { registry, seen } = await serveAsking({ clientCertificates: 'required' })
      await using _ = registry
      const stranger = await (await TestAuthority.create()).issue({ subject: '/CN=alice' })
      for (const options of [{}, stranger, { ...stranger, maxVersion: 'TLSv1.2' as const }])
        await assert.rejects(ask(registry.url, options))
      assert.equal(seen.length, 0)
      await registry.kept.find(({ reason }) => String(reason).includes('CERTIFICATE'))
      await ask(registry.url, alice)
      assert.equal(seen[0]?.certificate, 'alice')
    })

    it('takes those of new authorities, and of old ones no longer, once the file says so', async () => {
      const renewed = Promise.withResolvers<void>()
      const clientCa = await write('changing.pem', authority.cert)
      const { registry, seen } = await serveAsking({
        files: { ...files, clientCa },
        renewal: { everyMs: 10, onRenewed: () => renewed.resolve() },
      })
      await using _ = registry
      const first = await handshake(registry.url, { ...alice, maxVersion: 'TLSv1.2' })
      const session = first.getSession() ?? Buffer.alloc(0)
      first.destroy()
      const next = await TestAuthority.create()
      await write('changing.pem', next.cert)
      await renewed.promise
      const resumed = await handshake(registry.url, { ...alice, maxVersion: 'TLSv1.2', session })
      assert.equal(resumed.isSessionReused(), false)
      resumed.destroy()
      await ask(registry.url, alice)
      await ask(registry.url, await next.issue({ subject: '/CN=bob' }))
      assert.deepEqual(
        seen.map(({ certificate }) => certificate),
        [undefined, 'bob'],
      )
    })
  })

  async function handshake(url: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const { port } = new URL(url)
    const socket = connect({
      host: '127.0.0.1',
      port: Number(port),
      servername: 'localhost',
      ca: authority.cert,
      ...options,
    })
    await once(socket, 'secureConnect')
    socket.on('error', () => {})
    return socket
  }
})
