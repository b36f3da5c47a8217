/** Who may ask the agent for what: by each of its doors, with each kind of credential, by every route. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { text } from 'node:stream/consumers'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { serveAgent, serveAgentOnAddress } from '../../../src/importer/agent/agent-server.ts'
import { TokenFile } from '../../../src/importer/agent/http/token-file.ts'
import { agentOver } from '../../support/agent.ts'
import { answeringService, imageName } from '../../support/agent-answers.ts'
import { selfSigned } from '../../support/self-signed.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { type AgentRow, agentRows, strangeRows } from './agent-routes.ts'

const good = 'a-good-token-0123456789'
const wrong = 'a-wrong-token-0123456789'
const challenge = 'Bearer realm="varve-agent"'
const badToken = 'Bearer realm="varve-agent", error="invalid_token"'

/** With what somebody comes to an address, and how they are refused; undefined for who is let in. */
const credentials: readonly (readonly [
  title: string,
  authorization: string | undefined,
  refused?: string,
])[] = [
  ['no token', undefined, challenge],
  ['the right token', `Bearer ${good}`],
  ['the right token, scheme in small letters', `bearer ${good}`],
  ['a wrong token', `Bearer ${wrong}`, badToken],
  ['the right token with more after it', `Bearer ${good}x`, badToken],
  ['a part of the right token', `Bearer ${good.slice(0, -1)}`, badToken],
  ['the right token twice', `Bearer ${good} ${good}`, challenge],
  ['the right token as a password', `Basic ${Buffer.from(`agent:${good}`).toString('base64')}`, challenge],
  ['an empty token', 'Bearer ', challenge],
]

const doors = ['TLS', 'a loopback address without TLS', 'the unix socket'] as const
type Door = (typeof doors)[number]

interface Answered {
  readonly status: number
  readonly challenge: string | undefined
  readonly code: string | undefined
}

describe('The agent', () => {
  const resources = new AsyncDisposableStack()
  const places = new Map<Door, RequestOptions>()
  let id = ''

  before(async () => {
    const { path } = resources.use(await temporaryDirectory())
    const tokenFile = join(path, 'tokens')
    await writeFile(tokenFile, `${good}\n`, { mode: 0o600 })
    const tokens = await TokenFile.open(tokenFile)
    const { key, cert } = await selfSigned()
    const [keyFile, certFile] = [join(path, 'key.pem'), join(path, 'cert.pem')] as const
    await writeFile(keyFile, key, { mode: 0o600 })
    await writeFile(certFile, cert)
    const guarded = resources.use(await agentOver(answeringService(), { tokens }))
    const open = resources.use(await agentOver(answeringService()))
    const host = '127.0.0.1'
    const secure = await serveAgentOnAddress(guarded.app, {
      host,
      port: 0,
      tls: { certificate: certFile, key: keyFile },
    })
    resources.defer(() => secure.close())
    const plain = await serveAgentOnAddress(guarded.app, { host, port: 0 })
    resources.defer(() => plain.close())
    const local = await serveAgent(open.app, join(path, 'agent.sock'))
    resources.defer(() => local.close())
    places.set('TLS', { host: 'localhost', family: 4, port: new URL(secure.url).port, ca: cert })
    places.set('a loopback address without TLS', { host, port: new URL(plain.url).port })
    places.set('the unix socket', { socketPath: local.socket })
    // The two that want tokens are one agent.
    for (const door of doors.slice(1)) await send(door, `Bearer ${good}`, firstImport)
    const listed = await raw('TLS', `Bearer ${good}`, { method: 'GET', target: '/v1/imports' })
    id = (JSON.parse(listed.body) as { readonly id: string }[])[0]?.id ?? ''
    const others = await raw('the unix socket', undefined, { method: 'GET', target: '/v1/imports' })
    idAtSocket = (JSON.parse(others.body) as { readonly id: string }[])[0]?.id ?? ''
  })
  after(() => resources.disposeAsync())

  let idAtSocket = ''
  const firstImport = { method: 'POST', target: '/v1/imports', body: { image: imageName, waitSeconds: 10 } }

  for (const door of doors)
    for (const [title, authorization, refused] of credentials)
      it(`by ${door} answers ${title} as it should`, async () => {
        for (const row of [...agentRows, ...strangeRows]) {
          const { status, isOpen } = row
          const isRefused = refused !== undefined && door !== 'the unix socket' && !isOpen
          const actual = await send(door, authorization, row)
          const name = `${title} by ${door} does ${row.method} ${row.path} (${row.target})`
          assert.equal(actual.status, isRefused ? 401 : status, name)
          assert.equal(actual.challenge, isRefused ? refused : undefined, name)
          if (isRefused && row.method !== 'HEAD') assert.equal(actual.code, 'unauthorized', name)
        }
      })

  it('takes no token from anywhere but the header', async () => {
    for (const target of [`/v1/images?token=${good}`, `/v1/images?access_token=${good}`])
      assert.equal((await send('TLS', undefined, { method: 'GET', target })).status, 401)
  })

  type Question = Pick<AgentRow, 'method' | 'target' | 'body'>

  async function send(door: Door, authorization: string | undefined, question: Question): Promise<Answered> {
    const { status, challenge: told, body, isJson } = await raw(door, authorization, question)
    const code =
      isJson && body.startsWith('{"error"')
        ? (JSON.parse(body) as { readonly error: { readonly code: string } }).error.code
        : undefined
    return { status, challenge: told, code }
  }

  async function raw(door: Door, authorization: string | undefined, { method, target, body }: Question) {
    const path = target.replace('ID', door === 'the unix socket' ? idAtSocket : id)
    const options: RequestOptions = {
      ...places.get(door),
      method,
      path,
      agent: false,
      headers: authorization === undefined ? {} : { authorization },
    }
    const start = door === 'TLS' ? httpsRequest : httpRequest
    const { promise, resolve, reject } = Promise.withResolvers<{
      readonly status: number
      readonly challenge: string | undefined
      readonly body: string
      readonly isJson: boolean
    }>()
    const sending = start(options, response => {
      const { statusCode = 0, headers } = response
      text(response).then(
        content =>
          resolve({
            status: statusCode,
            challenge: headers['www-authenticate'],
            body: content,
            isJson: headers['content-type'] === 'application/json',
          }),
        reject,
      )
    })
    sending.on('error', reject)
    sending.end(body === undefined ? undefined : JSON.stringify(body))
    return await promise
  }
})
