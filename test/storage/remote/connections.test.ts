import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { addressRanges } from '../../../src/storage/address-ranges.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import type { ConnectionOptions, HostLookup } from '../../../src/storage/remote/connections.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import { noProxyOf } from '../../../src/storage/remote/no-proxy.ts'
import {
  defaultPatience,
  openConnections,
  RegistryTransport,
} from '../../../src/storage/remote/registry-transport.ts'
import { startForwardProxy } from '../../support/forward-proxy.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { scriptedRemote, team } from '../../support/remote-registry.ts'
import { serveScript } from '../../support/scripted-server.ts'
import { selfSigned } from '../../support/self-signed.ts'
import { servedImage } from '../../support/served-image.ts'

const image = servedImage()
const tag = { kind: 'tag', tag: parseTag('1') } as const
const none = addressRanges([])

/** What of this machine a registry that is elsewhere may send us to. */
async function follow(target: URL, registry: string, options: ConnectionOptions): Promise<number> {
  const connections = openConnections(defaultPatience, { privateRedirects: none, ...options })
  await using stack = new AsyncDisposableStack()
  stack.defer(() => connections.destroy())
  const transport = new RegistryTransport('r.example', defaultPatience, connections)
  const ask = { url: target, registry: new URL(registry), what: 'manifest' } as const
  return (await transport.read(ask, 1000)).status
}

/** Names of which each has one address. */
function lookupOf(addresses: Readonly<Record<string, string>>): HostLookup {
  return (hostname, _, callback) => {
    const address = addresses[hostname]
    if (address === undefined) callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), [])
    else callback(null, [{ address, family: address.includes(':') ? 6 : 4 }])
  }
}

describe('Where a registry may send us', () => {
  it('is not to this machine, from a public address', async () => {
    await using here = await serveScript((_, response) => response.end())
    const target = new URL(`http://${here.host}/`)
    await rejectsWith('denied', follow(target, 'https://8.8.8.8/', {}))
    const { port } = target
    for (const host of [`localhost:${port}`, `[::ffff:127.0.0.1]:${port}`, `0.0.0.0:${port}`])
      await rejectsWith('denied', follow(new URL(`http://${host}/`), 'https://8.8.8.8/', {}))
    assert.deepEqual(here.seen, [])
    const allowed = addressRanges(['127.0.0.0/8'])
    assert.equal(await follow(target, 'https://8.8.8.8/', { privateRedirects: allowed }), 200)
  })

  it('is decided by the address that is connected to, whatever the name', async () => {
    await using here = await serveScript((_, response) => response.end())
    const port = here.host.split(':')[1] ?? ''
    const lookup = lookupOf({ 'cdn.example': '127.0.0.1', 'metadata.example': '169.254.169.254' })
    const target = new URL(`http://cdn.example:${port}/`)
    await rejectsWith('denied', follow(target, 'https://8.8.8.8/', { lookup }))
    await rejectsWith('denied', follow(target, 'https://10.0.0.1/', { lookup }))
    assert.deepEqual(here.seen, [])
    assert.equal(await follow(target, 'http://127.0.0.1/', { lookup }), 200)
    await rejectsWith('denied', follow(new URL('http://metadata.example/'), 'http://127.0.0.1/', { lookup }))
    await rejectsWith('unavailable', follow(new URL('http://none.example/'), 'http://127.0.0.1/', { lookup }))
  })

  it('is remembered of a registry that is a name', async () => {
    await using here = await serveScript(({ path }, response) => {
      if (path === '/elsewhere') response.writeHead(200).end()
      else
        response
          .writeHead(307, { location: `http://other.example:${response.req.socket.localPort}/elsewhere` })
          .end()
    })
    const port = here.host.split(':')[1] ?? ''
    const lookup = lookupOf({ 'r.example': '127.0.0.1', 'other.example': '127.0.0.2' })
    const connections = openConnections(defaultPatience, { privateRedirects: none, lookup })
    await using stack = new AsyncDisposableStack()
    stack.defer(() => connections.destroy())
    const transport = new RegistryTransport('r.example', defaultPatience, connections)
    const registry = new URL(`http://r.example:${port}/`)
    const ask = { url: registry, registry, what: 'blob', follow: true } as const
    // 127.0.0.2 is this machine as well, so it is found: nobody listens there.
    const { message } = await rejectsWith('unavailable', transport.read(ask, 10))
    assert.match(message, /other\.example/)
  })

  for (const [what, script] of [
    ['a redirect', { location: 'http://169.254.169.254/latest' }],
    ['a realm', { 'www-authenticate': 'Bearer realm="https://169.254.169.254/token"' }],
  ] as const)
    it(`is not to the metadata of a cloud, by ${what}`, async () => {
      await using remote = await scriptedRemote(
        (_, response) => response.writeHead('location' in script ? 307 : 401, script).end(),
        {},
        { connections: { privateRedirects: none } },
      )
      const { message } = await rejectsWith('denied', remote.repository.get(tag))
      assert.match(message, /169\.254\.169\.254 is at an address of a private network/)
      await rejectsWith('denied', remote.repository.stat(tag))
    })

  it('is not to there for an upload either', async () => {
    await using remote = await scriptedRemote(
      (_, response) => response.writeHead(202, { location: 'http://169.254.169.254/u' }).end(),
      {},
      { connections: { privateRedirects: none } },
    )
    const bytes = Buffer.from('x')
    const put = remote.repository.putBlob({ digest: digestOf(bytes), size: 1 }, async () =>
      Readable.from([bytes]),
    )
    await rejectsWith('denied', put)
  })
})

describe('A proxy', () => {
  const proxied = (url: URL, noProxy: readonly string[] = [], authorization?: string) =>
    ({ privateRedirects: none, proxy: { url, authorization, noProxy: noProxyOf(noProxy) } }) as const

  it('is asked for plain HTTP, with what it wants to know us by', async () => {
    await using proxy = await startForwardProxy()
    await using server = await serveScript((_, response) => response.end(image.manifest))
    const host = `r.example:${server.host.split(':')[1]}`
    await using registries = new HttpRegistries({
      plainHttp: [host],
      connections: proxied(proxy.url, [], 'Basic abc'),
    })
    await registries.open(host).repository(team).get(tag)
    assert.deepEqual(proxy.seen, [`GET http://${host}/v2/team/app/manifests/1`])
    assert.deepEqual(proxy.authorizations, ['Basic abc'])
    assert.equal(server.seen[0]?.authorization, undefined)
  })

  it('makes tunnels for HTTPS, whose certificates are checked', async () => {
    const { key, cert } = await selfSigned()
    const server = createServer({ key, cert }, (_, response) => response.end(image.manifest))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    await using stack = new AsyncDisposableStack()
    stack.defer(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    await using proxy = await startForwardProxy()
    // What a certificate is for; loopback is spoken to plainly, and without the proxy.
    const connections = { ...proxied(proxy.url), authorities: cert }
    for (const [name, options, isTrusted] of [
      ['trusted', connections, true],
      ['not trusted', proxied(proxy.url), false],
    ] as const) {
      const opened = openConnections(defaultPatience, {
        ...options,
        proxy: { ...options.proxy, noProxy: { includes: () => false } },
      })
      stack.defer(() => opened.destroy())
      const url = new URL(`https://localhost:${port}/`)
      const transport = new RegistryTransport('localhost', defaultPatience, opened)
      const answer = transport.read({ url, registry: url, what: 'ping' }, 10_000)
      if (isTrusted) assert.equal((await answer).status, 200, name)
      else assert.match((await rejectsWith('unavailable', answer)).message, /certificate/)
    }
    assert.deepEqual(proxy.seen, [`CONNECT localhost:${port}`, `CONNECT localhost:${port}`])
  })

  it('is passed by for what needs none', async () => {
    await using proxy = await startForwardProxy()
    await using server = await serveScript((_, response) => response.end(image.manifest))
    const host = `r.example:${server.host.split(':')[1]}`
    await using registries = new HttpRegistries({
      plainHttp: [host],
      connections: { ...proxied(proxy.url, ['.example']), lookup: lookupOf({ 'r.example': '127.0.0.1' }) },
    })
    await registries.open(host).repository(team).get(tag)
    await registries.open(server.host).repository(team).get(tag)
    assert.deepEqual(proxy.seen, [])
  })

  it('is not asked for addresses that a registry may not send us to', async () => {
    await using proxy = await startForwardProxy()
    for (const target of ['http://10.0.0.1/', 'http://169.254.169.254/', 'http://[::ffff:10.0.0.1]/'])
      await rejectsWith('denied', follow(new URL(target), 'https://8.8.8.8/', proxied(proxy.url)))
    const anything = { proxy: { url: proxy.url, noProxy: { includes: () => false } } }
    await rejectsWith('denied', follow(new URL('http://localhost/'), 'https://8.8.8.8/', anything))
    assert.deepEqual(proxy.seen, [])
  })
})

describe('A certificate of an own authority', () => {
  it('is trusted when it is given, and otherwise not', async () => {
    const { key, cert } = await selfSigned()
    const server = createServer({ key, cert }, (_, response) => response.end('{}'))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    await using stack = new AsyncDisposableStack()
    stack.defer(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const url = new URL(`https://localhost:${port}/`)
    for (const [authorities, code] of [
      [cert, undefined],
      [undefined, 'unavailable'],
    ] as const) {
      const opened = openConnections(defaultPatience, { authorities })
      stack.defer(() => opened.destroy())
      const transport = new RegistryTransport('localhost', defaultPatience, opened)
      const answer = transport.read({ url, registry: url, what: 'ping' }, 100)
      if (code === undefined) assert.equal((await answer).status, 200)
      else await rejectsWith(code, answer)
    }
  })
})
