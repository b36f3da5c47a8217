/** An agent on a TCP address: certificates, tokens, and what changes in them while it runs. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import { type AddressServer, serveAgentOnAddress } from '../../../src/importer/agent/agent-server.ts'
import { defaultListenerLimits } from '../../../src/importer/agent/http/listener.ts'
import { TokenFile } from '../../../src/importer/agent/http/token-file.ts'
import { agentOver, type TestAgent } from '../../support/agent.ts'
import { answeringService, summary } from '../../support/agent-answers.ts'
import { type KeptLog, keepLog } from '../../support/log-lines.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { exec } from '../../support/process.ts'
import { selfSigned } from '../../support/self-signed.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const [first, second] = ['first-token-0123456789', 'second-token-0123456789']

describe('An agent on an address', () => {
  let directory: TemporaryDirectory
  let agent: TestAgent
  let server: AddressServer
  let cert: string
  let problems: unknown[]
  let kept: KeptLog
  let problem: PromiseWithResolvers<void>
  let renewed: PromiseWithResolvers<void>

  const path = (name: string): string => join(directory.path, name)
  const write = async (name: string, text: string): Promise<void> =>
    await writeFile(path(name), text, { mode: 0o600 })
  const urlOf = ({ url }: AddressServer): string => url.replace('127.0.0.1', 'localhost')
  const clientWith = (token: string | undefined, ca = cert): AgentClient =>
    new AgentClient({ url: urlOf(server), token, ca })

  beforeEach(async () => {
    directory = await temporaryDirectory()
    const pair = await selfSigned()
    cert = pair.cert
    await write('cert.pem', pair.cert)
    await write('key.pem', pair.key)
    await write('tokens', `# whose\n${first}\n\n`)
    kept = keepLog()
    const tokens = await TokenFile.open(path('tokens'))
    agent = await agentOver(answeringService(), { tokens, log: kept.log })
    problems = []
    problem = Promise.withResolvers()
    renewed = Promise.withResolvers()
    server = await serveAgentOnAddress(
      agent.app,
      {
        host: '127.0.0.1',
        port: 0,
        tls: { certificate: path('cert.pem'), key: path('key.pem') },
      },
      defaultListenerLimits,
      {
        everyMs: 10,
        onRenewed: () => renewed.resolve(),
        onProblem: error => {
          problems.push(error)
          problem.resolve()
        },
      },
    )
  })
  afterEach(async () => {
    await server.close()
    await agent[Symbol.asyncDispose]()
    await directory.remove()
  })

  it('answers who has a token, by TLS', async () => {
    assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    await using client = clientWith(first)
    assert.deepEqual(await client.images(), [summary])
    assert.equal(await client.describe(), 'pool tank')
  })

  it('refuses who has none, or another, and says how', async () => {
    assert.match((await rejectsWith('unauthorized', clientWith(undefined).images())).message, /Bearer TOKEN/)
    assert.match((await rejectsWith('unauthorized', clientWith(second).images())).message, /tokenFile/)
  })

  it('says whether it lives to everybody', async () => {
    const statusOf = async (asked: string): Promise<[number | undefined, string | undefined]> =>
      await new Promise((resolve, reject) => {
        request(`${urlOf(server)}${asked}`, { ca: cert, agent: false }, response => {
          response.resume()
          resolve([response.statusCode, response.headers['www-authenticate']])
        })
          .on('error', reject)
          .end()
      })
    assert.deepEqual(await statusOf('/livez'), [200, undefined])
    for (const closed of ['/readyz', '/metrics', '/openapi.json', '/v1', '/v1/images', '/absent', '/livez/'])
      assert.deepEqual(await statusOf(closed), [401, 'Bearer realm="varve-agent"'], closed)
  })

  it('takes tokens as they are in the file at that moment', async () => {
    await write('tokens', `${first}\n${second}\n`)
    await clientWith(second).images()
    await clientWith(first).images()
    await write('tokens', `${second}\n`)
    await rejectsWith('unauthorized', clientWith(first).images())
    await clientWith(second).images()
  })

  it('takes none while the file is open to others, empty or gone; why is for the log alone', async () => {
    await chmod(path('tokens'), 0o604)
    const { message, details } = await rejectsWith('unavailable', clientWith(first).images())
    assert.ok(!JSON.stringify([message, details]).includes(directory.path), message)
    assert.match(kept.text(), /no token is taken/)
    assert.match(kept.text(), new RegExp(`chmod o= ${path('tokens')}`))
    await chmod(path('tokens'), 0o600)
    await clientWith(first).images()
    await write('tokens', '\n')
    await rejectsWith('unavailable', clientWith(first).images())
    await write('tokens', `${first}\n`)
    await clientWith(first).images()
  })

  it('is not trusted with a certificate that nobody knows, and the reason is told', async () => {
    const { message } = await rejectsWith(
      'unavailable',
      clientWith(first, (await selfSigned()).cert).images(),
    )
    assert.match(message, /cannot be trusted .*agent\.caFile/)
  })

  it('is not trusted with one that an unknown authority has signed, and the reason is told', async () => {
    const [authority, leaf] = [await selfSigned(), 'leaf.pem']
    await write('ca.pem', authority.cert)
    await write('ca-key.pem', authority.key)
    await exec('openssl', [
      ...['req', '-x509', '-key', path('key.pem'), '-days', '2', '-subj', '/CN=agent'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-CA', path('ca.pem'), '-CAkey', path('ca-key.pem')],
      ...['-out', path(leaf)],
    ])
    const signed = await serveAgentOnAddress(agent.app, {
      host: '127.0.0.1',
      port: 0,
      tls: { certificate: path(leaf), key: path('key.pem') },
    })
    try {
      const known = new AgentClient({ url: urlOf(signed), token: first, ca: authority.cert })
      assert.deepEqual(await known.images(), [summary])
      const stranger = new AgentClient({ url: urlOf(signed), token: first })
      const { message } = await rejectsWith('unavailable', stranger.images())
      assert.match(message, /cannot be trusted .*agent\.caFile/)
    } finally {
      await signed.close()
    }
  })

  it('shows a new certificate when there is one, and the old one as long as the new one cannot be used', async () => {
    const pair = await selfSigned()
    await write('cert.pem', pair.cert)
    await problem.promise
    await clientWith(first).images()
    await write('key.pem', pair.key)
    await renewed.promise
    await clientWith(first, pair.cert).images()
    await rejectsWith('unavailable', clientWith(first).images())
  })

  it('wants the certificate of clients as well where it is told to', async () => {
    const pair = await selfSigned()
    await write('clients.pem', pair.cert)
    const strict = await serveAgentOnAddress(agent.app, {
      host: '127.0.0.1',
      port: 0,
      tls: { certificate: path('cert.pem'), key: path('key.pem'), clientCa: path('clients.pem') },
    })
    try {
      const address = { url: urlOf(strict), token: first, ca: cert }
      const { message } = await rejectsWith('unavailable', new AgentClient(address).images())
      assert.match(message, /wants a certificate .*agent\.certificateFile/)
      const known = new AgentClient({ ...address, certificate: pair.cert, key: pair.key })
      assert.deepEqual(await known.images(), [summary])
    } finally {
      await strict.close()
    }
  })

  it('does not start with files that it cannot use', async () => {
    const serve = async (tls: { certificate: string; key: string }) =>
      await rejectsWith('invalid', serveAgentOnAddress(agent.app, { host: '127.0.0.1', port: 0, tls }))
    const certificate = path('cert.pem')
    assert.match((await serve({ certificate, key: path('absent.pem') })).message, /absent\.pem/)
    await write('other.pem', (await selfSigned()).key)
    assert.match((await serve({ certificate, key: path('other.pem') })).message, /other\.pem/)
    await chmod(path('key.pem'), 0o644)
    assert.match((await serve({ certificate, key: path('key.pem') })).message, /chmod o=/)
    for (const [name, text] of [
      ['short', 'short\n'],
      ['spaced', 'a token with spaces in it\n'],
      ['nothing', '# nothing\n'],
      ['huge', `${'x'.repeat(70_000)}\n`],
    ] as const) {
      await write(name, text)
      assert.match((await rejectsWith('invalid', TokenFile.open(path(name)))).message, new RegExp(name))
    }
    await rejectsWith('invalid', TokenFile.open(path('absent')))
    await rejectsWith('invalid', TokenFile.open(directory.path))
  })

  for (const [what, bytes] of [
    ['that is not finished', Buffer.from([0x16, 0x03])],
    ['that is none', Buffer.from('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')],
  ] as const)
    it(`cuts a connection with a handshake ${what}`, async () => {
      const impatient = await serveAgentOnAddress(
        agent.app,
        { host: '127.0.0.1', port: 0, tls: { certificate: path('cert.pem'), key: path('key.pem') } },
        { ...defaultListenerLimits, headersMs: 100 },
      )
      const connection = connect(Number(new URL(impatient.url).port), '127.0.0.1')
      try {
        const closed = once(connection, 'close')
        connection.on('error', () => undefined).resume()
        connection.write(bytes)
        await closed
      } finally {
        connection.destroy()
        await impatient.close()
      }
    })

  it('names an address that is not to be had', async () => {
    const port = Number(new URL(server.url).port)
    const attempt = serveAgentOnAddress(agent.app, { host: '127.0.0.1', port })
    assert.match((await rejectsWith('unavailable', attempt)).message, new RegExp(`127.0.0.1:${port}`))
  })
})
