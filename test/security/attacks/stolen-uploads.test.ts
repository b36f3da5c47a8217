/** Upload sessions in other hands than those that began them. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { SignJWT, importJWK, type JWK } from 'jose'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { type AttackedRegistry, essenceOf, startAttacked } from '../../support/attacked-registry.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { withQuery } from '../../support/registry-client.ts'

const acme = parseTenantName('acme')
const dave = parseAccountName('dave')
const body = Buffer.from('bytes of the thief')
const digest = digestOf(body)
const absent = '00000000-0000-4000-8000-000000000000'

describe('An upload session', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  let location: string
  let path: string
  let id: string

  before(async () => {
    registry = resources.use(await startAttacked())
  })
  after(() => resources.disposeAsync())
  beforeEach(async () => {
    const owner = registry.with(registry.login('dave'))
    location = await owner.startUpload('acme/app')
    const { status, headers } = await owner.send('PATCH', location, { body: 'the owner’s bytes' })
    assert.equal(status, 202)
    location = headers['location'] ?? ''
    path = location.split('?')[0] ?? ''
    id = path.split('/').at(-1) ?? ''
  })

  /** All that can be done with a session, in these words. */
  const attempts = (target: string) =>
    [
      ['GET', target, undefined],
      ['PATCH', target, body],
      ['PUT', withQuery(target, 'digest', digest), undefined],
      ['PUT', withQuery(target, 'digest', digest), body],
      ['DELETE', target, undefined],
    ] as const

  const tryAll = async (authorization: string | undefined, target: string, word: string) => {
    const answers = []
    for (const [method, to, bytes] of attempts(target)) {
      const answer = await registry
        .with(authorization)
        .send(method, to, bytes === undefined ? {} : { body: bytes })
      answers.push({ status: answer.status, essence: essenceOf(answer, word, absent) })
    }
    return answers
  }

  for (const who of ['dora', 'mia', 'root'])
    it(`of another account is as one that is not there, to ${who}, who may push there, too`, async () => {
      await registry.unharmed(async () => {
        for (const authorization of [
          registry.login(who),
          await registry.bearer(who, 'repository:acme/app:pull,push,delete'),
        ])
          for (const target of [location, path, `${path}/`]) {
            const answers = await tryAll(authorization, target, id)
            assert.deepEqual(
              answers.map(({ status }) => status),
              [404, 404, 404, 404, 404],
            )
            assert.deepEqual(answers, await tryAll(authorization, target.replace(id, absent), absent))
          }
      })
    })

  it('is not there for those who may not push, and they are not told whether there is one', async () => {
    await registry.unharmed(async () => {
      for (const who of ['gina', 'zoe', 'oscar', undefined]) {
        const authorization = who === undefined ? undefined : registry.login(who)
        const answers = await tryAll(authorization, location, id)
        assert.deepEqual(
          new Set(answers.map(({ status }) => status)),
          new Set([who === undefined ? 401 : 403]),
        )
        assert.deepEqual(answers, await tryAll(authorization, location.replace(id, absent), absent))
      }
    })
  })

  it('is not there in another repository, though its owner may push there', async () => {
    const { login } = registry
    await registry.with(login('root')).pushImage('acme/second', '1', Buffer.from('x'))
    await registry.unharmed(async () => {
      for (const repository of ['acme/second', 'acme/third', 'acme/app/app'])
        for (const target of [location, path]) {
          const answers = await tryAll(login('dave'), target.replace('acme/app', repository), id)
          assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([404]))
        }
    })
  })

  it('is not there for nobody in particular, where everybody may push', async () => {
    await registry.metadata.createTenant({ name: parseTenantName('drop') })
    await registry.metadata.addGrant({
      tenant: parseTenantName('drop'),
      subject: '@everybody',
      pattern: 'drop/**',
      actions: ['pull', 'push'],
    })
    const own = await registry.with(registry.login('dave')).startUpload('drop/box')
    const ownId = own.split('?')[0]?.split('/').at(-1) ?? ''
    await registry.unharmed(async () => {
      for (const authorization of [undefined, registry.login('zoe')]) {
        const answers = await tryAll(authorization, own, ownId)
        assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([404]))
      }
    })
  })

  it('is not found by an id that is odd', async () => {
    await registry.unharmed(async () => {
      for (const odd of [
        id.toUpperCase(),
        `${id}%00`,
        `${id}%20`,
        `%20${id}`,
        `${id}'--`,
        `..%2f${id}`,
        `${id};x`,
        `{${id}}`,
        id.replaceAll('-', ''),
        '*',
        '%25',
        id.slice(0, -1),
      ])
        for (const [method, to] of attempts(path.replace(id, odd))) {
          const { status } = await registry.with(registry.login('dave')).send(method, to, { body })
          assert.ok([400, 404].includes(status), `${method} ${to}: ${status}`)
        }
    })
  })

  it('is not moved by a state of another session, of another account, or by none of ours', async () => {
    const { login } = registry
    const others = await registry.with(login('dora')).startUpload('acme/app')
    const foreign = new URL(others, registry.url).searchParams.get('_state') ?? ''
    const own = new URL(location, registry.url).searchParams.get('_state') ?? ''
    const [payload = '', mac = ''] = own.split('.')
    const moved = Buffer.from(JSON.stringify({ id, offset: 0 })).toString('base64url')
    const claimed = Buffer.from('{"id":"x","offset":1e999,"__proto__":{"offset":0}}').toString('base64url')
    for (const state of [
      foreign,
      `${moved}.${mac}`,
      `${payload}.`,
      `${payload}.AAAA`,
      `${claimed}.${mac}`,
      '.',
      'x'.repeat(5000),
    ]) {
      // They count for nothing, so the owner goes on where the session is; nobody else has got anything by them.
      const target = `${path}?_state=${encodeURIComponent(state)}`
      assert.equal((await registry.with(login('dora')).send('PATCH', target, { body })).status, 404)
      assert.equal((await registry.with(login('dave')).send('GET', target)).status, 204)
    }
  })

  it('is of no use to an owner who has lost the role in the middle', async () => {
    const { login, metadata } = registry
    await metadata.setMember(acme, dave, 'guest')
    try {
      await registry.unharmed(async () => {
        const answers = await tryAll(login('dave'), location, id)
        assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([403]))
      })
    } finally {
      await metadata.setMember(acme, dave, 'developer')
    }
    assert.equal((await registry.with(login('dave')).send('GET', path)).status, 204)
  })

  it('is of no use with a token that has expired in the middle', async () => {
    const [stored] = await registry.metadata.listSigningKeys()
    const key = await importJWK(JSON.parse(stored?.jwk ?? '') as JWK, 'ES256')
    const now = Math.floor(Date.now() / 1000)
    const token = (exp: number) =>
      new SignJWT({
        sub: 'dave',
        jti: 'x',
        access: [{ type: 'repository', name: 'acme/app', actions: ['pull', 'push'] }],
        varve: { rule: 'r' },
      })
        .setProtectedHeader({ alg: 'ES256', kid: stored?.id ?? '', typ: 'JWT' })
        .setIssuer('varve')
        .setAudience('varve')
        .setIssuedAt(now - 500)
        .setNotBefore(now - 500)
        .setExpirationTime(exp)
        .sign(key)
    assert.equal((await registry.with(`Bearer ${await token(now + 60)}`).send('GET', path)).status, 204)
    const expired = `Bearer ${await token(now - 61)}`
    await registry.unharmed(async () => {
      for (const [method, to, bytes] of attempts(location)) {
        const answer = await registry
          .with(expired)
          .send(method, to, bytes === undefined ? {} : { body: bytes })
        assert.equal(answer.status, 401)
        assert.match(
          answer.headers['www-authenticate'] ?? '',
          /scope="repository:acme\/app:pull,push",error="invalid_token"$/,
        )
      }
    })
    // Whoever gets a new one goes on, as docker does.
    const renewed = await registry.bearer('dave', 'repository:acme/app:pull,push')
    const done = await registry.with(renewed).send('PATCH', location, { body: 'more' })
    assert.equal(done.status, 202)
  })

  it('that is being written to tells nobody else that it is busy', async () => {
    const raw = await connectRaw(registry.url)
    raw.socket.write(
      `PATCH ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${registry.login('dave')}\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n`,
    )
    await raw.until(/100 Continue/)
    raw.socket.write('x'.repeat(50))
    const answers = await tryAll(registry.login('dora'), location, id)
    assert.deepEqual(answers, await tryAll(registry.login('dora'), location.replace(id, absent), absent))
    raw.socket.destroy()
  })
})
