import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import type { ChosenCredentials, Credentials } from '../../../src/storage/remote/credentials/credentials.ts'
import { RegistryClient } from '../../../src/storage/remote/registry-client.ts'
import {
  defaultPatience,
  openConnections,
  RegistryTransport,
} from '../../../src/storage/remote/registry-transport.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type Script, type ScriptedServer, serveScript } from '../../support/scripted-server.ts'

const [a, b] = ['team/a', 'team/b'].map(parseRepositoryName) as [
  ReturnType<typeof parseRepositoryName>,
  ReturnType<typeof parseRepositoryName>,
]
const password: Credentials = { kind: 'password', username: 'alice', password: 'pw' }
const identity: Credentials = { kind: 'identity-token', token: 'i+d/=&x' }

interface Asked {
  readonly method: string | undefined
  readonly authorization: string | undefined
  readonly scopes: readonly string[]
  readonly form: URLSearchParams
}

interface TokenRegistry extends AsyncDisposable {
  readonly registry: ScriptedServer
  /** What the token service was asked. */
  readonly asked: Asked[]
  /** The one that the registry takes; those given are `t1`, `t2` … */
  accepted: string | undefined
  expiresIn: number | undefined
  /** What the token service answers. */
  status: number
  clients(credentials: Credentials | undefined, now?: () => number): RegistryClient
}

/** A registry with a token service of its own, or at `realm`. */
async function tokenRegistry(realm?: (host: string) => string): Promise<TokenRegistry> {
  const stack = new AsyncDisposableStack()
  const asked: Asked[] = []
  const give = async (query: URLSearchParams, response: ServerResponse): Promise<void> => {
    const { method, headers } = response.req
    const form = new URLSearchParams(await text(response.req))
    asked.push({ method, authorization: headers.authorization, scopes: query.getAll('scope'), form })
    const body = { access_token: `t${asked.length}`, expires_in: state.expiresIn }
    response.writeHead(state.status).end(JSON.stringify(body))
  }
  const script: Script = ({ path, query, authorization }, response) => {
    if (path === '/token') return void give(query, response)
    if (authorization !== undefined && [undefined, authorization].includes(state.accepted)) {
      response.end('{}')
      return
    }
    const host = response.req.headers.host ?? ''
    const repository = /^\/v2\/(.+)\/manifests/.exec(path)?.[1] ?? ''
    const where = realm?.(host) ?? `http://${host}/token`
    const challenge = `Bearer realm="${where}",service="s",scope="repository:${repository}:pull"`
    response.writeHead(401, { 'www-authenticate': challenge }).end()
  }
  const registry = stack.use(await serveScript(script))
  const connections = openConnections(defaultPatience)
  stack.defer(() => connections.destroy())
  const state: TokenRegistry = {
    registry,
    asked,
    accepted: undefined,
    expiresIn: undefined,
    status: 200,
    clients: (credentials, now) => {
      const chosen: ChosenCredentials | undefined = credentials && { name: 'ours', credentials }
      const transport = new RegistryTransport(registry.host, defaultPatience, connections)
      return new RegistryClient({ registry: registry.host, credentials: chosen, transport, now })
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  return state
}

const read = (client: RegistryClient, repository = a) =>
  client.getDocument(repository, 'manifests/1', { limit: 100 })

describe('Authentication to a registry', () => {
  it('asks for a token with the password, once for each repository', async () => {
    await using served = await tokenRegistry()
    const client = served.clients(password)
    for (const repository of [a, b, a, b]) await read(client, repository)
    assert.deepEqual(
      served.asked.map(({ method, scopes }) => [method, scopes]),
      [
        ['GET', ['repository:team/a:pull']],
        ['GET', ['repository:team/b:pull']],
      ],
    )
    assert.match(served.asked[0]?.authorization ?? '', /^Basic /)
  })

  it('exchanges an identity token by POST, which stays out of addresses and headers', async () => {
    await using served = await tokenRegistry()
    await read(served.clients(identity))
    const [{ method, authorization, scopes, form }] = served.asked as [Asked]
    assert.deepEqual([method, authorization, scopes], ['POST', undefined, []])
    assert.deepEqual(Object.fromEntries(form), {
      grant_type: 'refresh_token',
      service: 's',
      client_id: 'varve',
      scope: 'repository:team/a:pull',
      refresh_token: 'i+d/=&x',
    })
  })

  for (const status of [400, 401, 403])
    it(`says that an identity token is not accepted (${status}), and not which it is`, async () => {
      await using served = await tokenRegistry()
      served.status = status
      const { message } = await rejectsWith('unauthorized', read(served.clients(identity)))
      assert.match(message, /the token of the credentials ours may not pull it/)
      assert.ok(!message.includes(identity.token))
    })

  it('follows no redirect with an identity token', async () => {
    await using collector = await serveScript((_, response) => response.end('{"token":"t"}'))
    await using registry = await serveScript(({ path }, response) => {
      if (path === '/token') response.writeHead(307, { location: `http://${collector.host}/` }).end()
      else {
        const realm = `http://${response.req.headers.host ?? ''}/token`
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end()
      }
    })
    await using served = await tokenRegistry(() => `http://${registry.host}/token`)
    await rejectsWith('unavailable', read(served.clients(identity)))
    assert.deepEqual(collector.seen, [])
  })

  it('sends a registry token as it is, and asks no service for another', async () => {
    await using served = await tokenRegistry()
    served.accepted = 'Bearer mine'
    await read(served.clients({ kind: 'registry-token', token: 'mine' }))
    await rejectsWith('unauthorized', read(served.clients({ kind: 'registry-token', token: 'other' })))
    assert.deepEqual(served.asked, [])
  })

  it('gets another token before the one that it has runs out', async () => {
    await using served = await tokenRegistry()
    served.expiresIn = 300
    let now = 1000
    const client = served.clients(password, () => now)
    for (const [at, tokens] of [
      [0, 1],
      [269_000, 1],
      [271_000, 2],
      [271_000 + 269_000, 2],
      [900_000, 3],
    ] as const) {
      now = 1000 + at
      await read(client)
      assert.equal(served.asked.length, tokens)
    }
    // No 401 was needed for it.
    assert.equal(served.registry.seen.filter(({ authorization }) => authorization === undefined).length, 1)
  })

  for (const expiresIn of [undefined, 1, -5])
    it(`reckons with a minute when the service says ${expiresIn ?? 'nothing'}`, async () => {
      await using served = await tokenRegistry()
      served.expiresIn = expiresIn
      let now = 0
      const client = served.clients(undefined, () => now)
      for (now of [0, 44_000]) await read(client)
      assert.equal(served.asked.length, 1)
      now = 46_000
      await read(client)
      assert.equal(served.asked.length, 2)
    })

  it('asks once when many requests find that the token has run out', async () => {
    await using served = await tokenRegistry()
    const client = served.clients(password)
    await Promise.all(Array.from({ length: 20 }, () => read(client)))
    assert.equal(served.asked.length, 1)
    served.accepted = 'Bearer t2'
    await Promise.all(Array.from({ length: 20 }, () => read(client)))
    assert.equal(served.asked.length, 2)
  })

  it('lets the others have the token when the one who asked gives up', async () => {
    const opened = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    await using slow = await serveScript((_, response) => {
      reached.resolve()
      void opened.promise.then(() => response.end('{"token":"t"}'))
    })
    await using served = await tokenRegistry(() => `http://${slow.host}/token`)
    const client = served.clients(password)
    const controller = new AbortController()
    const first = client.getDocument(a, 'manifests/1', { limit: 100, signal: controller.signal })
    await reached.promise
    const second = read(client)
    controller.abort()
    await assert.rejects(first, { name: 'AbortError' })
    opened.resolve()
    await second
    assert.equal(slow.seen.length, 1)
  })

  it('never uses the token of one user for another', async () => {
    await using served = await tokenRegistry()
    await read(served.clients(password))
    await read(served.clients({ ...password, username: 'bob' }))
    await read(served.clients(undefined))
    assert.deepEqual(
      served.asked.map(({ authorization }) => authorization),
      [
        `Basic ${Buffer.from('alice:pw').toString('base64')}`,
        `Basic ${Buffer.from('bob:pw').toString('base64')}`,
        undefined,
      ],
    )
    const sent = served.registry.seen.map(({ authorization }) => authorization)
    assert.equal(sent.filter(authorization => authorization === undefined).length, 3 + 1)
  })

  it('asks no token service without encryption on another host, with or without credentials', async () => {
    await using served = await tokenRegistry(() => 'http://tokens.example/token')
    for (const credentials of [password, identity, undefined]) {
      const { message } = await rejectsWith('unsupported', read(served.clients(credentials)))
      assert.match(message, /wants tokens from http:\/\/tokens\.example, which is not encrypted/)
    }
  })
})
