import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { isDomainError } from '../../../src/errors.ts'
import { addressRanges } from '../../../src/storage/address-ranges.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { HostLookup } from '../../../src/storage/remote/connections.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import type { HttpRepository } from '../../../src/storage/remote/http-repository.ts'
import { type ForwardProxy, startForwardProxy } from '../../support/forward-proxy.ts'
import { addressSecret } from '../../support/hostile/forms.ts'
import { Liar, type Place } from '../../support/hostile/liar.ts'
import { assertNoSecret, quickRemote, watched } from '../../support/hostile/stores.ts'
import { app, tag } from '../../support/hostile/victims.ts'
import { type ScriptedServer, serveScript } from '../../support/scripted-server.ts'

/** Ways to write addresses that only neighbours are meant to reach. `P` is a port where somebody listens. */
const addresses = [
  ...['127.0.0.1:P', 'localhost:P', 'LOCALHOST.:P', 'any.localhost:P', '127.1:P', '2130706433:P'],
  ...['0177.0.0.1:P', '0x7f.0.0.1:P', '0x7f000001:P', '127.000.000.001:P', '%31%32%37.0.0.1:P'],
  ...['①②⑦.0.0.1:P', '127。0。0。1:P', '0.0.0.0:P', '0:P', '127.255.255.254:P'],
  ...['[::1]:P', '[::]:P', '[::ffff:127.0.0.1]:P', '[::ffff:7f00:1]:P', '[::127.0.0.1]:P'],
  ...['[0:0:0:0:0:ffff:7f00:0001]:P', '[64:ff9b::127.0.0.1]:P', '[2002:7f00:1::]:P'],
  ...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '198.18.0.1'],
  ...['169.254.169.254', '0xa9fea9fe', '2852039166', '[::ffff:169.254.169.254]', '[fe80::1]', '[fd00::1]'],
  ...['224.0.0.1', '255.255.255.255', '[ff02::1]', '[fec0::1]'],
  // By names that lead there.
  ...['inner.example:P', 'inner6.example:P', 'mapped.example:P', 'metadata.example', 'both.example:P'],
]

const lookup: HostLookup = (hostname, _, callback) => {
  const known: Record<string, readonly string[]> = {
    'inner.example': ['127.0.0.1'],
    'inner6.example': ['::1'],
    'mapped.example': ['::ffff:127.0.0.1'],
    'metadata.example': ['169.254.169.254'],
    'both.example': ['10.0.0.1', '127.0.0.1'],
    localhost: ['127.0.0.1'],
    'localhost.': ['127.0.0.1'],
    'any.localhost': ['127.0.0.1'],
  }
  const found = known[hostname]
  if (found === undefined) callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), [])
  else
    callback(
      null,
      found.map(address => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
}

const bytes = Buffer.from('x')
const blob = { digest: digestOf(bytes), size: 1 }

/** What leads somewhere, and by which question. */
const ways: readonly (readonly [
  Place,
  'redirect' | 'realm' | 'upload',
  (from: HttpRepository) => Promise<unknown>,
])[] = [
  ['tag', 'redirect', from => from.get(tag)],
  ['tag', 'redirect', from => from.stat(tag)],
  ['tag', 'realm', from => from.get(tag)],
  ['blob', 'redirect', async from => await (await from.openBlob(blob.digest)).stream.toArray()],
  ['blob', 'redirect', from => from.statBlob(blob.digest)],
  ['tags', 'redirect', from => Array.fromAsync(from.tags())],
  ['referrers', 'redirect', from => Array.fromAsync(from.referrers(blob.digest))],
  ['other', 'upload', from => from.putBlob(blob, async () => Readable.from([bytes]))],
]

describe('a registry outside that leads to what only neighbours are meant to reach', {
  concurrency: 8,
}, () => {
  const stack = new AsyncDisposableStack()
  let inner: ScriptedServer
  let proxy: ForwardProxy
  before(async () => {
    inner = stack.use(await serveScript((_, response) => response.end('inner secret')))
    proxy = stack.use(await startForwardProxy())
  })
  after(() => stack.disposeAsync())

  for (const isProxied of [false, true])
    for (const address of addresses.filter(one => !isProxied || !/example/.test(one)))
      it(`${address}${isProxied ? ', by a proxy' : ''}`, async () => {
        const port = inner.host.split(':')[1] ?? ''
        const target = address.replaceAll(/[^\x20-\x7e]/g, encodeURIComponent).replace(':P', `:${port}`)
        await using liar = await Liar.start('addresses')
        // Behind a proxy nobody knows where it is, so it is outside.
        const host = `liar.example:${liar.port}`
        await using registries = new HttpRegistries({
          ...quickRemote,
          plainHttp: [host],
          connections: {
            lookup,
            privateRedirects: addressRanges([]),
            proxy: {
              url: proxy.url,
              noProxy: { includes: url => !isProxied && url.hostname !== 'liar.example' },
            },
          },
        })
        const from = registries.open(host, { retries: { attempts: 1, maxWaitMs: 0 } }).repository(app)
        const seen = proxy.seen.length
        for (const [place, kind, ask] of ways) {
          liar.lie = (asked, response) => {
            if (asked.place !== place) return false
            const location = `http://${target}/x?sig=${addressSecret}`
            if (kind === 'realm')
              response.writeHead(401, { 'www-authenticate': `Bearer realm="https://${target}/x"` }).end()
            else response.writeHead(kind === 'upload' ? 202 : 307, { location }).end()
            return true
          }
          const failure = await watched(ask(from)).then(
            () => undefined,
            (error: unknown) => error,
          )
          const about = `${place} ${kind}: ${String(failure)}`
          assert.ok(isDomainError(failure, 'denied'), about)
          assertNoSecret(failure.message)
        }
        assert.deepEqual(inner.seen, [])
        const asked = proxy.seen.slice(seen).filter(line => line.includes(String(port)))
        assert.deepEqual(asked, [])
      })
})
