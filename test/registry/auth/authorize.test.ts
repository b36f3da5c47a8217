import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { eventsAfter } from '../../contract/metadata-events.ts'
import type { HandlerLayer } from '../../../src/registry/handler.ts'
import { DomainError } from '../../../src/errors.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { basic } from '../../support/known-identities.ts'
import { keepLog } from '../../support/log-lines.ts'
import { connectRaw, writePatiently } from '../../support/raw-http.ts'
import { manifestOf, type RegistryClient, withQuery } from '../../support/registry-client.ts'
import { type SecuredRegistry, startSecured } from '../../support/secured-registry.ts'

const layer = Buffer.from('a layer of acme')
const config = Buffer.from('{}')
const manifest = manifestOf(config, [layer])
const digest = digestOf(layer)

describe('A registry with passwords', () => {
  const log = keepLog()
  let registry: SecuredRegistry
  let as: (name?: string) => RegistryClient

  before(async () => {
    registry = await startSecured({ log: log.log })
    as = name => registry.as(name)
    await as('dave').pushImage('acme/app', '1', layer)
    await as('admin').pushImage('site/app', '1', Buffer.from('a layer of site'))
    await as('oscar').pushImage('other/app', '1', Buffer.from('a layer of other'))
  })
  after(() => registry[Symbol.asyncDispose]())

  it('challenges at /v2/ whoever shows nothing, in one line', async () => {
    for (const path of ['/v2/', '/v2'])
      for (const method of ['GET', 'HEAD']) {
        const { status, headers } = await as().send(method, path)
        assert.deepEqual([status, headers['www-authenticate']], [401, 'Basic realm="varve"'])
        assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
      }
    assert.deepEqual((await as().send('GET', '/v2/')).codes, ['UNAUTHORIZED'])
    assert.equal((await as('zoe').send('GET', '/v2/')).status, 200)
  })

  it('asks nobody who they are for health and for its description', async () => {
    for (const path of ['/livez', '/readyz', '/openapi.json'])
      assert.equal((await as().send('GET', path)).status, 200, path)
  })

  for (const [who, repository, pull, push, remove] of [
    ['gina', 'acme/app', 200, 403, 403],
    ['dave', 'acme/app', 200, 201, 403],
    ['mia', 'acme/app', 200, 201, 202],
    ['admin', 'acme/app', 200, 201, 202],
    ['zoe', 'acme/app', 403, 403, 403],
    ['zoe', 'absent/app', 403, 403, 403],
    [undefined, 'acme/app', 401, 401, 401],
    ['zoe', 'site/app', 200, 403, 403],
    [undefined, 'site/app', 200, 401, 401],
    ['admin', 'nowhere/app', 404, 201, 202],
  ] as const)
    it(`answers ${who ?? 'nobody'} at ${repository} with ${pull}, ${push} and ${remove}`, async () => {
      const client = as(who)
      const path = `/v2/${repository}/manifests/1`
      assert.equal((await client.send('GET', path)).status, pull)
      assert.equal((await client.send('HEAD', path)).status, pull)
      const blob = `/v2/${repository}/blobs/uploads/?digest=${digestOf(config)}`
      assert.equal((await client.send('POST', blob, { body: config })).status, push)
      const empty = manifestOf(config, [])
      assert.equal((await client.putManifest(repository, 'temporary', empty)).status, push)
      assert.equal((await client.send('DELETE', `/v2/${repository}/manifests/temporary`)).status, remove)
    })

  it('answers what nobody can be let in to with 404 or 405, whoever asks', async () => {
    for (const who of [undefined, 'zoe', 'admin']) {
      assert.equal((await as(who).send('GET', '/v2/acme/app/nothing')).status, 404)
      assert.equal((await as(who).send('PUT', '/v2/acme/app/tags/list')).status, 405)
      assert.equal((await as(who).send('GET', '/v2/A/manifests/1')).status, 400)
    }
  })

  it('tells the account and the credential in its access log, and never the password', async () => {
    await as('gina').send('GET', '/v2/acme/app/tags/list', { headers: { 'x-request-id': 'by-gina' } })
    await as().send('GET', '/v2/acme/app/tags/list', { headers: { 'x-request-id': 'by-nobody' } })
    const line = await log.find(({ requestId }) => requestId === 'by-gina')
    assert.deepEqual([line['account'], line['credential']], ['gina', 'password'])
    const other = await log.find(({ requestId }) => requestId === 'by-nobody')
    assert.deepEqual([other['account'], other['credential'], other['status']], [undefined, undefined, 401])
    await as('zoe').send('GET', '/v2/acme/app/tags/list', { headers: { 'x-request-id': 'by-zoe' } })
    const refused = await log.find(({ requestId }) => requestId === 'by-zoe')
    assert.deepEqual([refused['account'], refused['errorCode'], refused['status']], ['zoe', 'DENIED', 403])
    assert.doesNotMatch(log.text(), /gina-password|Z2luYTpnaW5h/)
  })

  it('names the account in events', async () => {
    await as('dora').pushImage('acme/events', '1', Buffer.from('for an event'))
    const { newest } = await registry.metadata.eventBounds()
    const events = await eventsAfter(registry.metadata, newest - 2)
    assert.deepEqual(new Set(events.map(({ by }) => by?.account)), new Set(['dora']))
  })

  describe('refuses a body before it is read', () => {
    const head = (...more: readonly string[]) =>
      ['POST /v2/acme/app/blobs/uploads/?digest=x HTTP/1.1', 'Host: x', ...more, '', ''].join('\r\n')

    it('that waits for 100 Continue: none comes', async () => {
      const raw = await connectRaw(registry.url)
      raw.socket.write(head('Content-Length: 1000000', 'Expect: 100-continue'))
      const text = await raw.until(/\r\n\r\n[\s\S]*\}$/)
      assert.match(text, /^HTTP\/1.1 401 /)
      assert.match(text, /\r\nConnection: close\r\n/i)
      raw.socket.destroy()
    })

    it('of somebody who may not, just so', async () => {
      const raw = await connectRaw(registry.url)
      raw.socket.write(
        head('Content-Length: 1000000', 'Expect: 100-continue', `Authorization: ${basic('gina')}`),
      )
      assert.match(await raw.until(/\r\n\r\n[\s\S]*\}$/), /^HTTP\/1.1 403 /)
      raw.socket.destroy()
    })

    it('and lets the body of somebody who may come', async () => {
      const path = `POST /v2/acme/app/blobs/uploads/?digest=${digest} HTTP/1.1`
      const raw = await connectRaw(registry.url)
      const lines = [path, 'Host: x', `Content-Length: ${layer.length}`, 'Expect: 100-continue']
      raw.socket.write([...lines, `Authorization: ${basic('dave')}`, '', ''].join('\r\n'))
      await raw.until(/^HTTP\/1.1 100 Continue\r\n\r\n/)
      raw.socket.write(layer)
      assert.match(await raw.until(/HTTP\/1.1 201 /), /HTTP\/1.1 201 /)
      raw.socket.destroy()
    })

    it('that is large, and its sender can read the answer', async () => {
      const total = 64 * 1024 * 1024
      const raw = await connectRaw(registry.url)
      raw.socket.write(head(`Content-Length: ${total}`))
      const written = writePatiently(raw.socket, total)
      assert.match(await raw.until(/\r\n\r\n[\s\S]*\}/), /^HTTP\/1.1 401 /)
      await raw.ended()
      raw.socket.destroy()
      assert.ok((await written) < total)
    })
  })

  describe('gives an upload session to the account that began it', () => {
    it('and nobody else, though they may push there, too', async () => {
      const location = await as('dave').startUpload('acme/app')
      const bare = location.split('?')[0] ?? ''
      const body = randomBytes(1000)
      const patch = (client: RegistryClient, path: string) => client.send('PATCH', path, { body })
      assert.equal((await patch(as('dave'), location)).status, 202)
      for (const [who, status, code] of [
        ['dora', 404, 'BLOB_UPLOAD_UNKNOWN'],
        ['mia', 404, 'BLOB_UPLOAD_UNKNOWN'],
        ['admin', 404, 'BLOB_UPLOAD_UNKNOWN'],
        ['gina', 403, 'DENIED'],
        [undefined, 401, 'UNAUTHORIZED'],
      ] as const)
        for (const path of [location, bare])
          for (const [method, target] of [
            ['GET', path],
            ['PATCH', path],
            ['PUT', withQuery(path, 'digest', digestOf(body))],
            ['DELETE', path],
          ] as const) {
            const answer = await as(who).send(method, target, method === 'PATCH' ? { body } : {})
            assert.deepEqual([answer.status, answer.codes], [status, [code]], `${who} ${method}`)
            assert.deepEqual([answer.headers['location'], answer.headers['range']], [undefined, undefined])
          }
      const done = await as('dave').send('PUT', withQuery(bare, 'digest', digestOf(body)))
      assert.equal(done.status, 201)
      // Repeated by another one it tells nothing of the blob either.
      const again = await as('dora').send('PUT', withQuery(bare, 'digest', digestOf(body)))
      assert.deepEqual([again.status, again.codes], [404, ['BLOB_UPLOAD_UNKNOWN']])
    })

    it('also while its owner writes to it: nobody learns that it is busy', async () => {
      const location = await as('dave').startUpload('acme/app')
      const path = location.split('?')[0] ?? ''
      const raw = await connectRaw(registry.url)
      const lines = [
        `PATCH ${path} HTTP/1.1`,
        'Host: x',
        `Authorization: ${basic('dave')}`,
        'Content-Length: 10',
      ]
      raw.socket.write([...lines, 'Expect: 100-continue', '', ''].join('\r\n'))
      await raw.until(/100 Continue/)
      const { status, codes } = await as('dora').send('PATCH', path, { body: layer })
      assert.deepEqual([status, codes], [404, ['BLOB_UPLOAD_UNKNOWN']])
      raw.socket.write('0123456789')
      await raw.until(/HTTP\/1.1 202 /)
      raw.socket.destroy()
    })
  })

  describe('mounts a blob', () => {
    const start = (who: string, repository: string, query: string) =>
      as(who).send('POST', `/v2/${repository}/blobs/uploads/?${query}`)

    for (const [what, who, target, query, status] of [
      ['from where its caller may pull', 'dave', 'acme/m1', `mount=${digest}&from=acme/app`, 201],
      ['without from, where its caller may pull', 'dave', 'acme/m2', `mount=${digest}`, 201],
      ['from where an administrator pulls', 'admin', 'nowhere/m3', `mount=${digest}`, 201],
      ["not from another's", 'oscar', 'other/m4', `mount=${digest}&from=acme/app`, 202],
      ['not without from, when only others have it', 'oscar', 'other/m5', `mount=${digest}`, 202],
      ['not from what does not exist', 'oscar', 'other/m6', `mount=${digest}&from=absent/app`, 202],
      ['not from what is no repository', 'oscar', 'other/m7', `mount=${digest}&from=..%2Fx`, 202],
      ['not when it is no digest', 'oscar', 'other/m8', 'mount=sha256:x&from=other/app', 202],
      ['not where its caller may not push', 'gina', 'acme/m9', `mount=${digest}&from=acme/app`, 403],
      [
        'by what a provider says of its caller',
        'ci/oscar',
        'other/m10',
        `mount=${digestOf(Buffer.from('a layer of other'))}`,
        201,
      ],
    ] as const)
      it(`${status === 201 ? '' : 'not: '}${what}`, async () => {
        const answer = await start(who, target, query)
        assert.equal(answer.status, status)
        const there = await as('admin').send('HEAD', `/v2/${target}/blobs/${digest}`)
        const expected = status === 201 && query.includes(digest) ? 200 : 404
        assert.equal(there.status, expected)
      })

    it('whatever many others have it whom the caller has nothing to do with', async () => {
      const bytes = Buffer.from('a layer that everybody has')
      const popular = await as('oscar').pushBlob('other/zzz', bytes)
      for (let index = 0; index < 25; index++)
        await as('admin').send('POST', `/v2/acme/a${index}/blobs/uploads/?mount=${popular}`)
      assert.equal((await start('oscar', 'other/mine', `mount=${popular}`)).status, 201)
    })
  })

  describe('lists in the catalog', () => {
    const names = async (who: string | undefined, query = ''): Promise<string[]> => {
      const found: string[] = []
      for (let path: string | undefined = `/v2/_catalog${query}`, pages = 0; path !== undefined; pages++) {
        const { status, bytes, headers } = await as(who).send('GET', path)
        assert.equal(status, 200)
        found.push(...(JSON.parse(bytes.toString()) as { repositories: string[] }).repositories)
        path = /^<([^>]+)>/.exec(headers['link'] ?? '')?.[1]
        assert.ok(pages < 100)
      }
      return found
    }

    it('what the caller may pull, and nothing else', async () => {
      await as('admin').pushImage('nowhere/app', '1', Buffer.from('x'))
      const all = await names('admin')
      assert.deepEqual(all, [...all].sort())
      assert.ok(all.includes('nowhere/app') && all.includes('other/app') && all.includes('acme/app'))
      assert.deepEqual(
        await names(undefined),
        all.filter(name => name.startsWith('site/')),
      )
      assert.deepEqual(
        await names('zoe'),
        all.filter(name => name.startsWith('site/')),
      )
      assert.deepEqual(
        await names('gina'),
        all.filter(name => /^(site|acme)\//.test(name)),
      )
      const others = all.filter(name => /^(site|other)\//.test(name))
      for (const who of ['oscar', 'ci/oscar']) assert.deepEqual(await names(who), others)
      for (const size of [1, 2, 7]) assert.deepEqual(await names('oscar', `?n=${size}`), others)
    })

    it('what a grant lets one pull, with bounded work, and without a name of what it does not', async () => {
      const tenant = parseTenantName('large')
      await registry.metadata.createTenant({ name: tenant })
      const granted = ['large/q050', 'large/q099']
      for (const pattern of granted)
        await registry.metadata.addGrant({
          tenant,
          subject: parseAccountName('zoe'),
          pattern,
          actions: ['pull'],
        })
      const admin = as('admin')
      const shared = await admin.pushBlob('large/q000', Buffer.from('shared'))
      for (let index = 1; index < 100; index++) {
        const path = `/v2/large/q${String(index).padStart(3, '0')}/blobs/uploads/?mount=${shared}&from=large/q000`
        assert.equal((await admin.send('POST', path)).status, 201)
      }
      assert.deepEqual(await names('zoe', '?n=1&last=large'), [...granted, 'site/app'])
      const first = await as('zoe').send('GET', '/v2/_catalog?n=1&last=large')
      assert.match(first.headers['link'] ?? '', /^<\/v2\/_catalog\?last=~[\w-]+&n=1>; rel="next"$/)
      assert.deepEqual(JSON.parse(first.bytes.toString()), { repositories: [] })
    })

    it('nothing after a place that it has not given out', async () => {
      const { status, codes } = await as('zoe').send('GET', '/v2/_catalog?last=~abc')
      assert.deepEqual([status, codes], [400, ['PAGINATION_NUMBER_INVALID']])
    })

    it('nothing on a page without room', async () => {
      const { status, bytes, headers } = await as('admin').send('GET', '/v2/_catalog?n=0')
      assert.deepEqual([status, bytes.toString(), headers['link']], [200, '{"repositories":[]}', undefined])
    })
  })

  it('changes its mind at once when a rule changes', async () => {
    const acme = parseTenantName('acme')
    const read = async () => (await as('zoe').send('GET', '/v2/acme/app/manifests/1')).status
    assert.equal(await read(), 403)
    const grant = await registry.metadata.addGrant({
      tenant: acme,
      subject: '@accounts',
      pattern: 'acme/a*',
      actions: ['pull'],
    })
    assert.equal(await read(), 200)
    assert.equal((await as().send('GET', '/v2/acme/app/manifests/1')).status, 401)
    await registry.metadata.removeGrant(acme, grant.id)
    assert.equal(await read(), 403)
    await registry.metadata.setRepositoryVisibility(parseRepositoryName('acme/app'), 'public')
    assert.equal((await as().send('GET', '/v2/acme/app/manifests/1')).status, 200)
    await registry.metadata.setRepositoryVisibility(parseRepositoryName('acme/app'), null)
  })

  it('says when somebody has to wait', async () => {
    const { status, headers, codes } = await as('impatient').send('GET', '/v2/')
    assert.deepEqual([status, headers['retry-after'], codes], [429, '7', ['TOOMANYREQUESTS']])
    assert.equal(headers['www-authenticate'], undefined)
  })

  it('serves manifests as ever to those who may', async () => {
    const { status, bytes } = await as('gina').send('GET', `/v2/acme/app/manifests/${digestOf(manifest)}`)
    assert.deepEqual([status, bytes.equals(manifest)], [200, true])
  })
})

describe('A registry that lets nobody in without an account', () => {
  it('shows them nothing, be it public', async () => {
    await using registry = await startSecured({ anonymous: false })
    await registry.as('admin').pushImage('site/app', '1', layer)
    for (const path of ['/v2/site/app/manifests/1', '/v2/_catalog', '/v2/site/app/tags/list'])
      assert.equal((await registry.as().send('GET', path)).status, 401, path)
    assert.equal((await registry.as('zoe').send('GET', '/v2/site/app/manifests/1')).status, 200)
  })
})

describe('The layers around a handler', () => {
  it('stand in their order, and none but the audit log sees what is refused', async () => {
    const seen: string[] = []
    const layerOf = (name: string): HandlerLayer => ({
      around: (operation, handler) => request => {
        seen.push(`${name} ${operation} ${request.facts.caller?.account}`)
        return handler(request)
      },
    })
    const own = {
      method: 'GET' as const,
      path: '/own',
      operation: 'own',
      handler: () => {
        throw new DomainError('denied', 'Not here.', { resource: 'registry' })
      },
    }
    const layers = {
      audit: layerOf('audit'),
      limits: layerOf('limits'),
      routes: [own],
    }
    await using registry = await startSecured({ layers })
    await registry.as('gina').send('GET', '/v2/acme/app/tags/list')
    await registry.as('zoe').send('GET', '/v2/acme/app/tags/list')
    assert.equal((await registry.as().send('GET', '/own')).status, 403)
    assert.deepEqual(seen, [
      'audit tags.list undefined',
      'limits tags.list gina',
      'audit tags.list undefined',
      'audit own undefined',
      'limits own undefined',
    ])
  })
})
