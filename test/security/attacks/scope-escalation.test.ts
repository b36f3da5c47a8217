/** Tokens for more than an account may have, by how they are asked for. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { makeAccountToken } from '../../../src/registry/auth/identities/account-token.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { basic } from '../../support/known-identities.ts'
import type { Answer } from '../../support/registry-client.ts'

interface Entry {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

/** What a token says that it is good for. */
function accessIn({ status, bytes }: Answer): readonly Entry[] {
  assert.equal(status, 200, bytes.toString())
  const { token } = JSON.parse(bytes.toString()) as { token: string }
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return (claims as { access: Entry[] }).access
}

const formType = { 'content-type': 'application/x-www-form-urlencoded' }

describe('A scope', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked())
    // Names of tenants that begin like others, and with what stands for anything elsewhere.
    for (const tenant of ['acme-2', 'a_me', 'acm'])
      await registry.metadata.createTenant({ name: parseTenantName(tenant) })
    await registry.bearer('dave')
  })
  after(() => resources.disposeAsync())

  const get = (who: string | undefined, ...scopes: readonly string[]) =>
    registry
      .with(who === undefined ? undefined : registry.login(who))
      .send(
        'GET',
        `/token?service=varve${scopes.map(scope => `&scope=${encodeURIComponent(scope)}`).join('')}`,
      )

  const post = (who: string, form: readonly (readonly [string, string])[], query = '') =>
    registry.with().send('POST', `/token${query}`, {
      headers: { ...formType, connection: 'close' },
      body: new URLSearchParams([
        ['grant_type', 'password'],
        ['username', who],
        ['password', registry.tokenOf(who)],
        ['service', 'varve'],
        ...form.map(([name, value]): [string, string] => [name, value]),
      ]).toString(),
    })

  /** Nothing but what developers of acme, and everybody in site, may. */
  function assertDaves(entries: readonly Entry[]): void {
    for (const { type, name, actions } of entries) {
      if (type === 'registry') {
        assert.deepEqual([name, actions], ['catalog', ['*']])
        continue
      }
      assert.equal(type, 'repository')
      const mine = /^acme(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/.test(name)
      const allowed = mine ? ['pull', 'push'] : /^site(?:\/|$)/.test(name) ? ['pull'] : []
      assert.ok(
        actions.every(action => allowed.includes(action)),
        JSON.stringify(entries),
      )
      assert.ok(actions.length > 0)
    }
  }

  for (const [what, scope] of [
    ['that climbs out of the tenant', 'repository:acme/../other/app:pull'],
    ['that climbs out of the tenant, encoded', 'repository:acme/%2e%2e/other/app:pull'],
    ['with an encoded slash', 'repository:other%2fapp:pull'],
    ['encoded twice', 'repository:other%252fapp:pull'],
    ['of another tenant', 'repository:other/app:pull'],
    ['of another tenant in upper case', 'repository:OTHER/app:pull'],
    ['of the own tenant in upper case', 'repository:Acme/app:pull'],
    ['in another script', 'repository:\u0430cme/app:pull'],
    ['in wide letters', 'repository:\uff41\uff43\uff4d\uff45/app:pull'],
    ['with a letter that becomes one of ASCII', 'repository:acme/\u212a:pull'],
    ['with a mark that nobody sees', 'repository:acme/\u200bapp:pull'],
    ['of the tenant that begins like mine', 'repository:acme-2/app:pull,push'],
    ['of the tenant that fits mine where _ is any character', 'repository:a_me/app:pull,push'],
    ['of the tenant with which mine begins', 'repository:acm/e:pull,push'],
    ['for anything', 'repository:*:*'],
    ['for anything at all', '*:*:*'],
    ['for anything in another tenant', 'repository:other/*:pull'],
    ['for anything in my tenant', 'repository:acme/*:pull'],
    ['for no name', 'repository::pull'],
    ['for a slash', 'repository:/:pull'],
    ['that begins with a slash', 'repository:/other/app:pull'],
    ['that ends with a slash', 'repository:acme/app/:pull'],
    ['with two slashes', 'repository:acme//app:pull'],
    ['with a dot', 'repository:./other/app:pull'],
    ['with a host', 'repository:localhost:5000/other/app:pull'],
    ['with a user and a host', 'repository:dave@acme/app:pull'],
    ['with a NUL', 'repository:other/app\0:pull'],
    ['with a NUL behind my tenant', 'repository:acme\0other/app:pull'],
    ['with a newline', 'repository:other/app\n:pull'],
    ['with a newline in front of another scope', 'repository:acme/app:pull\nrepository:other/app:pull'],
    ['with a tab in front of another scope', 'repository:acme/app:pull\trepository:other/app:pull'],
    ['with a comma in front of another scope', 'repository:acme/app:pull,repository:other/app:pull'],
    ['with another scope behind a blank', 'repository:acme/app:pull repository:other/app:pull'],
    ['with a question mark', 'repository:other/app?x:pull'],
    ['with a semicolon', 'repository:acme/app;other/app:pull'],
    ['with actions behind actions', 'repository:other/app:pull:push'],
    ['of a plugin', 'repository(plugin):other/app:pull'],
    ['of another class', 'repository(image):other/app:pull'],
    ['of a class that is a name', 'repository(other/app):acme/app:pull'],
    ['of a type in upper case', 'REPOSITORY:other/app:pull'],
    ['of no type', ':other/app:pull'],
    ['of a type that nobody knows', 'tenant:other:*'],
    ['of the prototype', 'repository:__proto__:pull'],
    ['of a digest', `repository:other/app@sha256:${'0'.repeat(64)}:pull`],
    ['of a tag', 'repository:other/app:1:pull'],
  ] as const)
    it(`${what} gives nothing of another tenant: ${JSON.stringify(scope)}`, async () => {
      assert.ok(!accessIn(await get('zoe', scope)).some(({ type }) => type === 'repository'))
      assert.ok(!accessIn(await get(undefined, scope)).some(({ type }) => type === 'repository'))
      for (const answer of [
        await get('dave', scope),
        await post('dave', [['scope', scope]]),
        await get('dave', 'repository:acme/app:pull', scope),
      ]) {
        assertDaves(accessIn(answer))
        const { token } = JSON.parse(answer.bytes.toString()) as { token: string }
        for (const path of ['/v2/other/app/manifests/1', '/v2/acme-2/app/tags/list', '/v2/_catalog'])
          assert.equal((await registry.with(`Bearer ${token}`).send('GET', path)).status, 401)
      }
    })

  it('with actions beyond the role gives those of the role', async () => {
    for (const actions of [
      '*',
      'pull,push,delete',
      'delete,*',
      'pull,push,delete,admin,write',
      'DELETE,pull,push',
      ',,pull,,push,',
      'pull,pull,push,push',
    ])
      assert.deepEqual(accessIn(await get('dave', `repository:acme/app:${actions}`)), [
        { type: 'repository', name: 'acme/app', actions: ['pull', 'push'] },
      ])
    for (const actions of ['', 'Pull', 'pull;push', 'pull%2cpush', 'pu', '+pull', 'pull\0'])
      assert.deepEqual(accessIn(await get('dave', `repository:acme/app:${actions}`)), [])
    assert.deepEqual(accessIn(await get('gina', 'repository:acme/app:*')), [
      { type: 'repository', name: 'acme/app', actions: ['pull'] },
    ])
  })

  it('for the catalog opens no repository, in whatever way it is asked for', async () => {
    for (const scope of [
      'registry:catalog:*',
      'registry:catalog:pull,*,push,delete',
      'registry(x):catalog:*',
      'registry:catalog:* registry:catalog:*',
    ]) {
      const { token } = JSON.parse((await get('zoe', scope)).bytes.toString()) as { token: string }
      const zoe = registry.with(`Bearer ${token}`)
      const { status, bytes } = await zoe.send('GET', '/v2/_catalog')
      assert.equal(status, 200)
      assert.deepEqual(JSON.parse(bytes.toString()), { repositories: ['site/app'] })
      for (const path of ['/v2/acme/app/manifests/1', '/v2/site/app/manifests/1', '/v2/acme/app/tags/list'])
        assert.equal((await zoe.send('GET', path)).status, 401)
    }
    for (const scope of [
      'registry:*:*',
      'registry:catalog:pull',
      'registry:Catalog:*',
      'registry:catalog/:*',
      'registry::*',
      'Registry:catalog:*',
      'repository:catalog:*',
      'registry:_catalog:*',
      'registry:catalog',
    ])
      assert.deepEqual(accessIn(await get('dave', scope)), [], scope)
  })

  it('for the catalog beside one for pushing makes no mount of what is not named', async () => {
    const source = await registry.with(registry.login('dave')).pushBlob('acme/src', Buffer.from('to mount'))
    const bearer = await registry.bearer('dave', 'registry:catalog:*', 'repository:acme/app:pull,push')
    for (const from of ['&from=acme/src', '']) {
      const path = `/v2/acme/app/blobs/uploads/?mount=${source}${from}`
      const answer = await registry.with(bearer).send('POST', path)
      assert.equal(answer.status, 202)
      await registry.with(bearer).send('DELETE', answer.headers['location'] ?? '')
    }
    // And the list is as short as the token.
    const { bytes } = await registry.with(bearer).send('GET', '/v2/_catalog')
    assert.deepEqual(JSON.parse(bytes.toString()), { repositories: ['acme/app'] })
  })

  it('counts wherever it stands in a form, and nowhere else', async () => {
    const scopes = ['repository:acme/app:pull', 'repository:other/app:pull', 'repository:site/app:pull']
    const both = accessIn(
      await post(
        'dave',
        scopes.map(scope => ['scope', scope]),
      ),
    )
    assertDaves(both)
    assert.deepEqual(
      both.map(({ name }) => name),
      ['acme/app', 'site/app'],
    )
    // Of another name, and in the query of a form, it is none.
    for (const answer of [
      await post('dave', [['Scope', 'repository:acme/app:pull']]),
      await post('dave', [['scope[]', 'repository:acme/app:pull']]),
      await post('dave', [], '?scope=repository:acme/app:pull&username=root&grant_type=refresh_token'),
    ])
      assert.deepEqual(accessIn(answer), [])
  })

  it('in too great a number is refused, by GET and by POST', async () => {
    const many = Array.from({ length: 10_000 }, () => 'a').join(' ')
    for (const answer of [
      await get('dave', many),
      await get('dave', ...Array.from({ length: 1000 }, () => 'a:b:c')),
      await post('dave', [['scope', many]]),
      await post(
        'dave',
        Array.from({ length: 3000 }, () => ['scope', 'a:b:c']),
      ),
    ]) {
      assert.equal(answer.status, 400)
      assert.match(answer.bytes.toString(), /at most 100 scopes/)
    }
  })

  it('of a megabyte is refused before it is read', async () => {
    const long = `repository:acme/${'a'.repeat(1024 * 1024)}:pull`
    assert.equal((await post('dave', [['scope', long]])).status, 413)
    const { status } = await registry.raw(`GET /token?scope=${long} HTTP/1.1\r\nHost: x\r\n\r\n`)
    assert.equal(status, 431)
    assert.deepEqual(accessIn(await get('dave', `repository:acme/${'a'.repeat(20_000)}:pull`)), [])
  })

  it('never gives more than the role, however it is put together', async () => {
    const word = fc.constantFrom(
      ...['repository', 'registry', 'catalog', 'acme', 'other', 'site', 'app', 'pull', 'push', 'delete', '*'],
      ...['/', ':', ',', ' ', '.', '..', '%2f', '(', ')', 'plugin', '\0', '\n', '@', 'A', '\u0430', '_', '-'],
    )
    const scope = fc.oneof(
      fc.array(word, { maxLength: 12 }).map(words => words.join('')),
      fc
        .tuple(
          fc.constantFrom('acme/', 'other/', 'site/', ''),
          fc.array(word, { maxLength: 4 }),
          fc.array(word, { maxLength: 3 }),
        )
        .map(([start, name, actions]) => `repository:${start}${name.join('')}:${actions.join(',')}`),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(scope, { minLength: 1, maxLength: 5 }), async scopes => {
        assertDaves(accessIn(await get('dave', ...scopes)))
        const ofNobody = accessIn(await get(undefined, ...scopes)).filter(({ type }) => type === 'repository')
        for (const { name, actions } of ofNobody) {
          assert.match(name, /^site(?:\/|$)/)
          assert.deepEqual(actions, ['pull'])
        }
      }),
      { numRuns: 150 },
    )
  })

  it('does not get out of those of a narrowed API token', async () => {
    const account = parseAccountName('dave')
    const { id, text, secretDigest } = makeAccountToken('token')
    const scopes = [{ pattern: 'acme/app', actions: ['pull'] as const }]
    await registry.metadata.addCredential({ id, kind: 'token', account, secretDigest, scopes })
    const narrow = registry.with(basic('dave', text))
    const query = '/token?offline_token=true&scope=repository:acme/app:*&scope=repository:acme/b:*'
    const first = await narrow.send('GET', query)
    const expected = [{ type: 'repository', name: 'acme/app', actions: ['pull'] }]
    assert.deepEqual(accessIn(first), expected)
    const push = await narrow.send('POST', '/v2/acme/app/blobs/uploads/')
    assert.deepEqual([push.status, push.codes], [403, ['DENIED']])
    // It makes no token that is wider, nor changes anything else of its account.
    for (const [method, path, body] of [
      ['POST', '/api/v1/accounts/dave/tokens', '{}'],
      ['PUT', '/api/v1/users/dave/password', '{"password":"another-password","current":"x"}'],
      ['GET', '/api/v1/accounts/dave/tokens', undefined],
      ['DELETE', `/api/v1/accounts/dave/tokens/${id}`, undefined],
    ] as const) {
      const call = body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }
      assert.equal((await narrow.send(method, path, call)).status, 403, path)
      assert.equal((await registry.with(`Bearer ${text}`).send(method, path, call)).status, 403, path)
    }
    // A refresh token of it is as narrow.
    const { refresh_token } = JSON.parse(first.bytes.toString()) as { refresh_token: string }
    const again = await registry.with().send('POST', '/token', {
      headers: formType,
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token,
        scope: 'repository:acme/app:* repository:acme/b:pull',
      }).toString(),
    })
    assert.deepEqual(accessIn(again), expected)
  })

  it('that many patterns of a token are compared with does not keep others waiting', async () => {
    const account = parseAccountName('dave')
    const { id, text, secretDigest } = makeAccountToken('token')
    const pattern = `acme/${'*a'.repeat(124)}`
    const scopes = Array.from({ length: 100 }, () => ({
      pattern,
      actions: ['pull', 'push', 'delete'] as const,
    }))
    await registry.metadata.addCredential({ id, kind: 'token', account, secretDigest, scopes })
    const names = Array.from(
      { length: 100 },
      (_, index) => `repository:acme/${'a'.repeat(246)}${index + 100}:pull,push`,
    )
    const slow = registry
      .with()
      .send('POST', '/token', {
        headers: formType,
        body: new URLSearchParams({
          grant_type: 'password',
          username: 'dave',
          password: text,
          scope: names.join(' '),
        }).toString(),
      })
      .then(answer => {
        assert.deepEqual(accessIn(answer), [])
        return 'slow'
      })
    const others = registry
      .with(registry.login('gina'))
      .send('GET', '/v2/acme/app/tags/list')
      .then(() => 'others')
    assert.equal(await Promise.race([slow, others]), 'others')
    assert.equal(await slow, 'slow')
  })
})
