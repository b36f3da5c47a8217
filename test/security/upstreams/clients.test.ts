import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { Absences } from '../../../src/registry/pull-through/absences.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { type AttackedRegistry, secretLayer, startAttacked } from '../../support/attacked-registry.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { startPullThrough } from '../../support/pull-through-registry.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'

const names = [
  'acme/app',
  'acme%2Fapp',
  'acme/hub/../app',
  'acme/hub/..%2fapp',
  'hub/../acme/app',
  'hub/%2e%2e/acme/app',
]
const tricks = [
  ...names,
  ...[
    'hub%2F..%2Facme%2Fapp',
    'hub//acme/app',
    './acme/app',
    'HUB/acme/app',
    'hub/hub/../../acme/app',
    'acme/app/',
  ],
  ...[
    'acme/hub/acme/app',
    'hub/acme/app',
    'app',
    'hub',
    'hub/',
    'library/acme/app',
    'acme\\app',
    'acme;/app',
  ],
]
const namespaces = [
  ...[
    '',
    'acme',
    'acme/app',
    '../acme',
    'varve',
    '%00',
    '%0d%0aHost:%20x',
    'x'.repeat(4000),
    '*',
    '127.0.0.1:1',
  ],
  ...[
    '169.254.169.254',
    'http://127.0.0.1:1/',
    '[::1]',
    'UPSTREAM/',
    'UPSTREAM&ns=acme',
    'acme&ns=UPSTREAM',
    'UPSTREAM',
  ],
]
const hosts = [
  'acme',
  'mirror.test',
  'MIRROR.TEST',
  'mirror.test:80',
  'mirror.test.',
  '127.0.0.1',
  '[::1]',
  'x'.repeat(250),
]

for (const mode of ['token', 'basic'] as const)
  describe(`clients that want what is not theirs from a registry with upstreams, auth.mode ${mode}`, () => {
    const stack = new AsyncDisposableStack()
    let upstream: CountedUpstream
    let attacked: AttackedRegistry
    const layer = digestOf(secretLayer)
    before(async () => {
      const behind = stack.use(await startRegistry())
      const source = new RegistryClient(behind.url)
      await source.pushImage('acme/app', '2', Buffer.from('of somebody elsewhere'))
      upstream = stack.use(await countUpstream(behind.url))
      // Says of everything that it has it: blobs that are ours, too.
      upstream.answers = ({ method, url = '' }, response) => {
        if (method !== 'HEAD' || !url.includes('/blobs/')) return false
        response.writeHead(200, { 'content-length': String(secretLayer.length) }).end()
        return true
      }
      attacked = stack.use(
        await startAttacked({
          'auth.mode': mode,
          upstreams: [
            { name: 'hub', registry: upstream.host, prefix: 'hub', root: true, hosts: ['mirror.test'] },
            { name: 'staff', registry: upstream.host, prefix: 'acme/hub', namespaces: [] },
          ],
        }),
      )
      await attacked.metadata.createTenant({ name: parseTenantName('hub'), visibility: 'public' })
    })
    after(() => stack.disposeAsync())

    async function headersOf(who: string | undefined, name: string): Promise<Record<string, string>> {
      if (mode === 'basic') return who === undefined ? {} : { authorization: attacked.login(who) }
      return { authorization: await attacked.bearer(who, `repository:${name}:pull,push`) }
    }

    async function asked(path: string, headers: Record<string, string>, method = 'GET') {
      const answer = await request(attacked.url + path, { method: method as 'GET', headers })
      return { status: answer.statusCode, text: await answer.body.text(), headers: answer.headers }
    }

    for (const who of [undefined, 'zoe', 'oscar'])
      it(`neither manifest nor layer of acme comes to ${who ?? 'nobody'}, by any name, ns or Host`, async () => {
        const headers = await headersOf(who, 'acme/app')
        const mapped = await headersOf(who, 'hub/acme/app')
        for (const name of tricks)
          for (const query of [
            '',
            ...namespaces.map(ns => `?ns=${ns.replaceAll('UPSTREAM', upstream.host)}`),
          ])
            for (const what of query === '' || name === 'acme/app'
              ? ['manifests/1', `blobs/${layer}`, 'tags/list', `referrers/${attacked.manifest}`]
              : ['manifests/1']) {
              const path = `/v2/${name}/${what}${query}`
              for (const authorization of [headers, mapped]) {
                const { status, text, headers: answered } = await asked(path, authorization)
                assert.ok(
                  status < 500 && (status >= 400 || !text.includes(secretLayer.toString())),
                  `${path}: ${status} ${text}`,
                )
                assert.notEqual(answered['docker-content-digest'], attacked.manifest, path)
                assert.ok(!text.includes(`"tags":["1"]`), `${path}: ${text}`)
              }
            }
        for (const host of hosts)
          for (const what of ['manifests/1', `blobs/${layer}`, 'tags/list']) {
            const { status, text } = await asked(`/v2/acme/app/${what}`, { ...mapped, host })
            assert.ok(status < 500 && !text.includes(secretLayer.toString()), `${host}: ${status} ${text}`)
          }
      })

    it('a layer of acme does not come below a prefix because upstream says that it has it', async () => {
      const headers = await headersOf(undefined, 'hub/acme/app')
      for (const path of [
        `/v2/hub/acme/app/blobs/${layer}`,
        `/v2/acme/app/blobs/${layer}?ns=${upstream.host}`,
      ])
        for (let round = 0; round < 2; round += 1) {
          const { text } = await asked(path, headers)
          assert.ok(!text.includes(secretLayer.toString()), `${path}: ${text}`)
        }
    })

    it('and nothing is pushed, mounted or deleted below a prefix by who may do so elsewhere', async () => {
      for (const [method, path] of [
        ['POST', '/v2/hub/evil/blobs/uploads/'],
        ['POST', `/v2/hub/evil/blobs/uploads/?mount=${layer}&from=acme/app`],
        ['PUT', '/v2/hub/acme/app/manifests/2'],
        ['PATCH', '/v2/hub/evil/blobs/uploads/00000000-0000-4000-8000-000000000000'],
        ['DELETE', '/v2/hub/acme/app/manifests/2'],
        ['POST', `/v2/evil/blobs/uploads/?ns=${'UPSTREAM'}`],
      ] as const)
        for (const who of [undefined, 'dave', 'mia', 'oscar']) {
          const headers = await headersOf(who, 'hub/acme/app')
          const { status } = await asked(path.replace('UPSTREAM', upstream.host), headers, method)
          assert.ok([401, 403].includes(status), `${method} ${path} by ${who}: ${status}`)
        }
    })

    it('and a request with two Hosts, or none, is refused', async () => {
      for (const lines of ['Host: acme\r\nHost: mirror.test\r\n', 'host: \r\n', '']) {
        const raw = await connectRaw(attacked.url)
        raw.socket.end(`GET /v2/acme/app/manifests/1 HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`)
        const text = await raw.ended()
        assert.match(text, /^HTTP\/1\.1 4\d\d /)
      }
    })
  })

describe('names that nobody has', () => {
  it('are remembered, the last ten thousand of them', () => {
    const absences = new Absences()
    for (let n = 0; n < 20_000; n += 1) absences.note(`name ${n}`, 60)
    assert.equal(absences.has('name 9999'), false)
    assert.equal(absences.has('name 10000'), true)
  })

  it('cost upstream one question each, at a time no more than there may be, and us nothing that stays', async () => {
    let atOnce = 0
    let most = 0
    await using upstream = await countUpstream()
    upstream.answers = async (_, response) => {
      atOnce += 1
      most = Math.max(most, atOnce)
      await sleep(1)
      atOnce -= 1
      response.writeHead(404).end()
      return true
    }
    await using registry = await startPullThrough({
      upstreams: [{ name: 'up', registry: upstream.host, prefix: 'up' }],
    })
    const ask = async (n: number): Promise<void> => {
      const { statusCode, body } = await request(`${registry.url}/v2/up/cold/n${n}/manifests/1`)
      await body.dump()
      assert.equal(statusCode, 404)
    }
    const count = 1500
    let next = 0
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (next < count) await ask(next++)
      }),
    )
    assert.equal(upstream.take().length, count)
    assert.ok(most <= 64, `${most} at once`)
    for (let n = count - 100; n < count; n += 1) await ask(n)
    assert.deepEqual(upstream.take(), [])
    assert.deepEqual(await registry.metadata.listRepositories({ limit: 10 }), [])
  })

  it('and three hundred clients that want one of them cost one question', async () => {
    await using upstream = await countUpstream()
    upstream.answers = async (_, response) => {
      await sleep(200)
      response.writeHead(404).end()
      return true
    }
    await using registry = await startPullThrough({
      upstreams: [{ name: 'up', registry: upstream.host, prefix: 'up' }],
    })
    await Promise.all(
      Array.from({ length: 300 }, async () => {
        const { body } = await request(`${registry.url}/v2/up/cold/one/manifests/1`)
        await body.dump()
      }),
    )
    assert.equal(upstream.take().length, 1)
  })
})
