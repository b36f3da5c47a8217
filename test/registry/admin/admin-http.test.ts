import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { adminRoutes } from '../../../src/registry/admin/http/admin-routes.ts'
import { OpenAccess } from '../../../src/registry/auth/open-access.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { type AdminRegistry, startAdminRegistry } from '../../support/admin-registry.ts'
import { basic, passwordOf } from '../../support/known-identities.ts'
import { looseManifest } from '../../support/records.ts'
import { startRegistry } from '../../support/registry.ts'

const root = { authorization: basic('root') }
const jsonType = { 'content-type': 'application/json' }

interface Sent {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly codes: readonly string[]
  readonly messages: readonly string[]
}

describe('The HTTP interface of administration', () => {
  let registry: AdminRegistry
  before(async () => {
    registry = await startAdminRegistry()
    const admin = registry.as('root')
    for (const name of ['alice', 'zoe']) await admin.call('user.create', { name, password: passwordOf(name) })
    await admin.call('tenant.create', { name: 'acme' })
    await admin.call('member.set', { tenant: 'acme', account: 'alice', role: 'owner' })
  })
  after(() => registry[Symbol.asyncDispose]())

  async function send(
    method: string,
    path: string,
    {
      headers = root,
      body,
    }: { headers?: Record<string, string>; body?: string | Uint8Array<ArrayBuffer> } = {},
  ): Promise<Sent> {
    const response = await fetch(`${registry.url}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : jsonType), ...headers },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    const { errors = [] } = (text.startsWith('{') ? JSON.parse(text) : {}) as {
      errors?: { code: string; message: string }[]
    }
    return {
      status: response.status,
      headers: response.headers,
      text,
      codes: errors.map(({ code }) => code),
      messages: errors.map(({ message }) => message),
    }
  }
  const post = (path: string, value: unknown, headers = root) =>
    send('POST', path, { headers, body: JSON.stringify(value) })

  it('asks nobody in particular to log in, by Basic alone, before it looks at anything', async () => {
    for (const [method, path] of [
      ['GET', '/api/v1/whoami'],
      ['GET', '/api/v1/tenants/acme'],
      ['GET', '/api/v1/tenants/NO-NAME'],
      ['DELETE', '/api/v1/tenants/absent'],
      ['GET', '/api/v1/tenants?colour=red'],
    ] as const) {
      const { status, headers, codes } = await send(method, path, { headers: {} })
      assert.equal(status, 401, path)
      assert.equal(headers.get('www-authenticate'), 'Basic realm="varve"')
      assert.deepEqual(codes, ['UNAUTHORIZED'])
    }
    const { status } = await send('POST', '/api/v1/tenants', { headers: {}, body: 'no json' })
    assert.equal(status, 401)
  })

  it('takes a password, and an API token as a password or alone', async () => {
    const { token } = await registry.as('root').call('token.create', { account: 'root' })
    for (const authorization of [basic('root'), basic('root', token), `Bearer ${token}`]) {
      const { status, text } = await send('GET', '/api/v1/whoami', { headers: { authorization } })
      assert.equal(status, 200)
      assert.equal((JSON.parse(text) as { account: string }).account, 'root')
    }
  })

  it('takes nothing else', async () => {
    const { token, credential } = await registry.as('root').call('token.create', { account: 'root' })
    await registry.as('root').call('token.revoke', { account: 'root', token: credential.id })
    for (const authorization of [
      `Bearer ${token}`,
      basic('root', token),
      basic('root', 'wrong-password'),
      basic('absent'),
      'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.',
      'Bearer x',
      'Basic !!!',
      'Digest x',
      `Bearer ${'x'.repeat(9000)}`,
    ]) {
      const { status, headers, text } = await send('GET', '/api/v1/users', { headers: { authorization } })
      assert.equal(status, 401, authorization.slice(0, 40))
      assert.equal(headers.get('www-authenticate'), 'Basic realm="varve"')
      assert.equal(text.includes(token), false)
    }
  })

  it('answers 201 with the place, 200, 204, 404 and 409, and nothing that is kept', async () => {
    const made = await post('/api/v1/tenants', { name: 'statuses' })
    assert.equal(made.status, 201)
    assert.equal(made.headers.get('location'), '/api/v1/tenants/statuses')
    assert.equal(made.headers.get('content-type'), 'application/json')
    const again = await post('/api/v1/tenants', { name: 'statuses' })
    assert.deepEqual([again.status, again.codes], [409, ['ALREADY_EXISTS']])
    const change = await send('PATCH', '/api/v1/tenants/statuses', { body: '{"visibility":"public"}' })
    assert.equal(change.status, 200)
    for (const _ of [1, 2]) {
      const set = await send('PUT', '/api/v1/tenants/statuses/members/github%2Focto', {
        body: '{"role":"guest"}',
      })
      assert.deepEqual([set.status, set.text], [204, ''])
    }
    const list = await send('GET', '/api/v1/tenants/statuses/members')
    assert.match(list.text, /"account":"github\/octo"/)
    assert.equal((await send('DELETE', '/api/v1/tenants/statuses/members/github%2Focto')).status, 204)
    const gone = await send('DELETE', '/api/v1/tenants/statuses/members/github%2Focto')
    assert.deepEqual([gone.status, gone.codes], [404, ['NOT_FOUND']])
    assert.equal((await send('DELETE', '/api/v1/tenants/statuses')).status, 204)
    for (const { headers } of [made, change, list]) assert.equal(headers.get('cache-control'), 'no-store')
    const refused = await send('PUT', '/api/v1/tenants')
    assert.deepEqual([refused.status, refused.headers.get('allow')], [405, 'GET, POST'])
    assert.equal((await send('GET', '/api/v1/absent')).status, 404)
    assert.equal((await send('GET', '/api/v2/tenants')).status, 404)
  })

  it('refuses to delete a tenant that has repositories', async () => {
    await post('/api/v1/tenants', { name: 'full' })
    await registry.metadata.putManifest(parseRepositoryName('full/x'), looseManifest('x'))
    const { status, codes } = await send('DELETE', '/api/v1/tenants/full')
    assert.deepEqual([status, codes], [409, ['CONFLICT']])
  })

  it('goes through pages by their Link', async () => {
    for (const letter of ['a', 'b', 'c']) await post('/api/v1/users', { name: `p${letter}`, password: null })
    const seen: string[] = []
    for (let path: string | undefined = '/api/v1/users?n=2'; path !== undefined; ) {
      const { headers, text } = await send('GET', path)
      const { items, next } = JSON.parse(text) as { items: { name: string }[]; next: string | null }
      assert.ok(items.length <= 2)
      seen.push(...items.map(({ name }) => name))
      path = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
      assert.equal(path === undefined, next === null)
    }
    assert.deepEqual(seen, [...seen].sort())
    assert.ok(['alice', 'pa', 'pb', 'pc', 'root', 'zoe'].every(name => seen.includes(name)))
  })

  for (const [what, headers, body, status] of [
    ['a form', { 'content-type': 'text/plain' }, '{"name":"x"}', 400],
    ['a form of another kind', { 'content-type': 'application/x-www-form-urlencoded' }, 'name=x', 400],
    ['no JSON', {}, '{"name":', 400],
    ['a list', {}, '[{"name":"x"}]', 400],
    ['null', {}, 'null', 400],
    ['an unknown field', {}, '{"name":"x","admin":true}', 400],
    ['a field of the prototype', {}, '{"name":"x","__proto__":{"isAdmin":true}}', 400],
    ['bytes that are no UTF-8', {}, new Uint8Array([0x22, 0xff, 0x22]), 400],
    ['deep JSON', {}, `{"name":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 400],
    ['a long body', {}, JSON.stringify({ name: 'x'.repeat(200_000) }), 413],
    ['a number for a name', {}, '{"name":7}', 400],
  ] as const)
    it(`refuses ${what}`, async () => {
      const sent = await send('POST', '/api/v1/tenants', { headers: { ...root, ...headers }, body })
      assert.equal(sent.status, status, sent.text)
      assert.equal(sent.codes.length, 1)
      assert.ok((sent.messages[0]?.length ?? 0) < 400)
    })

  it('refuses what is given twice, or in two places', async () => {
    for (const [method, path, body] of [
      ['GET', '/api/v1/tenants?n=1&n=2', undefined],
      ['GET', '/api/v1/tenants?m=1', undefined],
      ['PATCH', '/api/v1/tenants/acme', '{"tenant":"other"}'],
      ['PATCH', '/api/v1/tenants/acme?visibility=public', '{}'],
      ['GET', '/api/v1/users?n=x', undefined],
    ] as const) {
      const { status, codes } = await send(method, path, body === undefined ? {} : { body })
      assert.deepEqual([status, codes], [400, ['INVALID']], path)
    }
  })

  it('tells a stranger the same of a tenant that is there and of one that is not', async () => {
    const headers = { authorization: basic('zoe') }
    const told = async (tenant: string) => {
      const answers = []
      for (const [method, path, body] of [
        ['GET', '', undefined],
        ['PATCH', '', '{"visibility":"public"}'],
        ['PATCH', '', '{"quotaBytes":1}'],
        ['DELETE', '', undefined],
        ['GET', '/members', undefined],
        ['PUT', '/members/zoe', '{"role":"owner"}'],
        ['GET', '/grants', undefined],
        ['POST', '/robots', '{"name":"ci"}'],
        ['GET', '/usage', undefined],
        ['GET', '/audit', undefined],
      ] as const) {
        const sent = await send(method, `/api/v1/tenants/${tenant}${path}`, {
          headers,
          ...(body === undefined ? {} : { body }),
        })
        const shown = [...sent.headers].filter(([name]) => !/^(date|x-request-id|content-length)$/.test(name))
        answers.push([sent.status, sent.text.replaceAll(tenant, 'TENANT'), shown])
        assert.equal(sent.status, 404)
      }
      return answers
    }
    assert.deepEqual(await told('acme'), await told('abscond'))
  })

  it('tells members that they may not, and what they lack', async () => {
    const { status, codes, messages } = await send('PATCH', '/api/v1/tenants/acme', {
      headers: { authorization: basic('alice') },
      body: '{"quotaBytes":1}',
    })
    assert.deepEqual([status, codes], [403, ['DENIED']])
    assert.deepEqual(messages, ['quotaBytes can be changed by admins only.'])
  })

  it('changes the own password only with the present one', async () => {
    const change = async (body: object) =>
      (
        await send('PUT', '/api/v1/users/zoe/password', {
          headers: { authorization: basic('zoe') },
          body: JSON.stringify(body),
        })
      ).status
    assert.equal(await change({ password: 'a new password' }), 400)
    assert.equal(await change({ password: 'a new password', current: 'wrong' }), 403)
    assert.equal(await change({ password: 'a new password', current: passwordOf('zoe') }), 200)
    await registry.as('zoe', 'a new password').call('whoami', {})
  })

  it('has each change in the audit log before it is acknowledged, and what was refused', async () => {
    await post('/api/v1/tenants', { name: 'logged' })
    await send('PUT', '/api/v1/tenants/logged/members/alice', { body: '{"role":"guest"}' })
    await send('PATCH', '/api/v1/tenants/logged', {
      body: '{"visibility":"public"}',
      headers: { authorization: basic('alice') },
    })
    const list = async () =>
      (await registry.as('root').call('tenant.audit', { tenant: 'logged', about: 'tenant' })).items
    let items = await list()
    // What was refused is written a moment later.
    while (items.length < 3) items = await list()
    assert.deepEqual(
      items.map(({ operation, account, reference, outcome, rule }) => [
        operation,
        account,
        reference,
        outcome,
        rule,
      ]),
      [
        ['tenant.update', 'alice', undefined, 'denied', 'no rule lets alice do tenant.update'],
        ['member.set', 'root', 'alice', 'allowed', 'root is an administrator'],
        ['tenant.create', 'root', undefined, 'allowed', 'root is an administrator'],
      ],
    )
    assert.ok(
      items.every(
        ({ address, userAgent, requestId }) => address !== '' && userAgent !== '' && requestId !== '',
      ),
    )
  })

  it('keeps to one table: no path of it answers the protocol, and the protocol needs no account', async () => {
    assert.equal((await send('GET', '/livez', { headers: {} })).status, 200)
    assert.equal((await send('GET', '/v2/', { headers: {} })).status, 401)
  })
})

describe('A registry that asks nobody who they are', () => {
  it('is not administered over HTTP, and says what to do', async () => {
    await using registry = await startRegistry({
      security: () => ({ access: new OpenAccess(), routes: adminRoutes(undefined) }),
    })
    for (const { method, path } of adminRoutes(undefined)) {
      const response = await fetch(`${registry.url}${path.replace(/[*:]\w+/g, 'x')}`, { method })
      assert.equal(response.status, 404)
      const { errors } = (await response.json()) as { errors: { code: string; message: string }[] }
      assert.equal(errors[0]?.code, 'UNSUPPORTED')
      assert.match(errors[0]?.message ?? '', /set auth\.mode to token or basic/)
    }
  })
})
