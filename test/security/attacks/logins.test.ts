/** Ways in with what is almost a password, a name or a token, or once was one. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { hash } from 'bcryptjs'
import { parseAccountName } from '../../../src/storage/accounts/names.ts'
import { type AttackedRegistry, essenceOf, person, startAttacked } from '../../support/attacked-registry.ts'
import { basic } from '../../support/known-identities.ts'
import type { Answer } from '../../support/registry-client.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const json = { 'content-type': 'application/json' }
const accented = 'p\u00e4ssw\u00f6rd-\u00e9'

const tokensIn = ({ bytes }: Answer) =>
  JSON.parse(bytes.toString()) as { token: string; refresh_token?: string }

async function withPassword({ metadata }: AttackedRegistry, name: string, password: string): Promise<void> {
  const passwordHash = await hash(password, 4)
  await metadata.createAccount({ name: parseAccountName(name), kind: 'user', passwordHash })
}

describe('A password', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked({ 'auth.mode': 'basic' }))
    await withPassword(registry, 'ann', accented)
    await withPassword(registry, 'max', 'm'.repeat(72))
  })
  after(() => resources.disposeAsync())

  const status = async (name: string, password: string) =>
    (await registry.with(basic(name, password)).send('GET', '/v2/')).status

  it('opens its account, and nothing that is almost it does', async () => {
    assert.equal(await status('ann', accented), 200)
    assert.equal(await status('max', 'm'.repeat(72)), 200)
    for (const [name, password] of [
      ['ann', accented.normalize('NFD')],
      ['ann', accented.toUpperCase()],
      ['ann', ` ${accented}`],
      ['ann', `${accented} `],
      ['ann', 'password-e'],
      ['ann', Buffer.from(accented).toString('latin1')],
      ['ann', ''],
      ['ann', `${accented}\0`],
      ['ann', `${accented}\0and more`],
      ['ann', '\0'],
      ['ann', '\u0000'.repeat(80)],
      ['max', 'm'.repeat(71)],
      ['max', 'm'.repeat(73)],
      ['max', `${'m'.repeat(72)}and more`],
      ['max', 'm'.repeat(10_000)],
    ] as const)
      assert.equal(await status(name, password), 401, `${name}: ${JSON.stringify(password.slice(0, 100))}`)
  })

  it('of a megabyte is refused before it is compared', async () => {
    const { status: code } = await registry.raw(
      `GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic('ann', 'x'.repeat(1024 * 1024))}\r\n\r\n`,
    )
    assert.equal(code, 431)
    assert.equal(await status('ann', 'x'.repeat(30_000)), 401)
  })

  it('cannot be set to what bcrypt does not tell apart', async () => {
    const root = registry.with(registry.login('root'))
    await registry.unharmed(async () => {
      for (const password of [
        'x'.repeat(73),
        '\u00e9'.repeat(37),
        'a\0bcdefgh',
        'short',
        'new-one',
        '',
        '\ud83d\ude00'.repeat(7),
      ]) {
        const call = { headers: json, body: JSON.stringify({ name: 'new-one', password }) }
        assert.equal((await root.send('POST', '/api/v1/users', call)).status, 400, password)
      }
    })
  })

  it('opens no account by another way of writing its name', async () => {
    for (const name of [
      'Ann',
      'ANN',
      ' ann',
      'ann ',
      'ann\0',
      'ann%00',
      'ann/',
      'ann+',
      'ann@',
      '/ann',
      './ann',
      '../ann',
      '\u0430nn',
      '\uff41nn',
      'ann\u200b',
      '*',
      'an%',
      'an_',
      "ann' OR '1'='1",
      'local/ann',
      'acme+ann',
      '__proto__',
      'constructor',
      'a'.repeat(20_000),
    ])
      assert.equal(await status(name, accented), 401, name.slice(0, 50))
    // An empty name is nobody, whatever comes with it.
    const nobody = await registry.with(basic('', accented)).send('GET', '/v2/acme/app/tags/list')
    assert.equal(nobody.status, 401)
  })

  it('that is wrong says the same as an account that is not there', async () => {
    const essences = []
    const times = new Map<string, number[]>()
    for (let round = 0; round < 3; round += 1)
      for (const name of ['ann', 'max', 'nob']) {
        const started = performance.now()
        const answer = await registry.with(basic(name, `wrong-${round}`)).send('GET', '/v2/')
        times.set(name, [...(times.get(name) ?? []), performance.now() - started])
        assert.equal(answer.status, 401)
        essences.push(essenceOf(answer))
      }
    assert.equal(new Set(essences).size, 1)
    // Not asserted: a machine that has something else to do would decide it.
    for (const [name, all] of times)
      console.log(
        `wrong password of ${name === 'nob' ? 'nobody' : 'somebody'}: ${Math.round(all.sort((a, b) => a - b)[1] ?? 0)} ms`,
      )
  })
})

describe('A token in the place of another one', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  let refresh: string
  let access: string

  before(async () => {
    registry = resources.use(await startAttacked())
    const query = '/token?offline_token=true&scope=repository:acme/app:pull'
    const given = tokensIn(await registry.with(registry.login('dave')).send('GET', query))
    refresh = given.refresh_token ?? ''
    access = given.token
    assert.match(refresh, /^vrr_/)
  })
  after(() => resources.disposeAsync())

  const post = (fields: Record<string, string>) =>
    registry.with().send('POST', '/token', { headers: form, body: new URLSearchParams(fields).toString() })

  it('opens nothing: a refresh token is no password and no API token', async () => {
    await registry.unharmed(async () => {
      for (const authorization of [basic('dave', refresh), `Bearer ${refresh}`])
        for (const path of ['/v2/', '/v2/acme/app/tags/list', '/api/v1/whoami', '/token'])
          assert.equal((await registry.with(authorization).send('GET', path)).status, 401, path)
      const asPassword = { grant_type: 'password', username: 'dave', password: refresh }
      assert.equal((await post(asPassword)).status, 401)
    })
  })

  it('opens nothing: an API token is no refresh token, and not another account’s', async () => {
    await registry.unharmed(async () => {
      const wrong = { grant_type: 'refresh_token', refresh_token: registry.tokenOf('dave') }
      assert.equal((await post(wrong)).status, 401)
      for (const name of ['root', 'gina', 'Dave', 'dave2', 'dav', 'people/dave'])
        assert.equal(
          (await registry.with(basic(name, registry.tokenOf('dave'))).send('GET', '/v2/')).status,
          401,
        )
    })
  })

  it('opens nothing: an access token is no password, no refresh token, and administers nothing', async () => {
    await registry.unharmed(async () => {
      assert.equal((await registry.with(basic('dave', access)).send('GET', '/v2/')).status, 401)
      assert.equal((await registry.with(`Bearer ${access}`).send('GET', '/token')).status, 401)
      assert.equal((await registry.with(`Bearer ${access}`).send('GET', '/api/v1/whoami')).status, 401)
      assert.equal((await post({ grant_type: 'refresh_token', refresh_token: access })).status, 401)
      const admin = (await registry.bearer('root', 'repository:acme/app:*', 'registry:catalog:*')).slice(7)
      assert.equal((await registry.with(`Bearer ${admin}`).send('GET', '/api/v1/users')).status, 401)
    })
  })

  it('opens nothing with a letter changed, cut, or put together from two', async () => {
    const own = registry.tokenOf('dave')
    const [, id = '', secret = ''] = own.split('_')
    const [, otherId = '', otherSecret = ''] = registry.tokenOf('root').split('_')
    await registry.unharmed(async () => {
      for (const text of [
        `vrv_${id}_${otherSecret}`,
        `vrv_${otherId}_${secret}`,
        `vrr_${id}_${secret}`,
        `vrv_${id.toUpperCase()}_${secret}`,
        `vrv_${id}_${secret.slice(0, -1)}`,
        `vrv_${id}_${secret}x`,
        `vrv_${id}_`,
        `vrv__${secret}`,
        `vrv_${'%'.repeat(16)}_${secret}`,
        `vrv_${id}_${'x'.repeat(20_000)}`,
        `VRV_${id}_${secret}`,
        ` ${own}`,
        `${own}\n`,
      ])
        assert.equal(
          (await registry.with(basic('dave', text)).send('GET', '/v2/')).status,
          401,
          text.slice(0, 99),
        )
    })
  })

  it('of an account that was deleted and made again opens nothing', async () => {
    const root = registry.with(registry.login('root'))
    const call = { headers: json, body: '{"name":"eve","password":null}' }
    assert.equal((await root.send('POST', '/api/v1/users', call)).status, 201)
    await registry.metadata.deleteAccount(parseAccountName('eve'))
    const token = await person(registry.metadata, 'eve')
    const first = await registry.with(basic('eve', token)).send('GET', '/token?offline_token=true')
    const { refresh_token = '' } = tokensIn(first)
    assert.equal((await root.send('DELETE', '/api/v1/users/eve')).status, 204)
    for (const isThere of [false, true]) {
      if (isThere) assert.equal((await root.send('POST', '/api/v1/users', call)).status, 201)
      for (const authorization of [basic('eve', token), `Bearer ${token}`])
        for (const path of ['/v2/', '/api/v1/whoami', '/token'])
          assert.equal((await registry.with(authorization).send('GET', path)).status, 401)
      assert.equal((await post({ grant_type: 'refresh_token', refresh_token })).status, 401)
    }
  })

  it('of a tenant that was deleted and made again opens nothing, and no rule of it is left', async () => {
    const root = registry.with(registry.login('root'))
    const call = (body: object) => ({ headers: json, body: JSON.stringify(body) })
    const made = async (method: string, path: string, body: object) => {
      const answer = await root.send(method, path, call(body))
      assert.ok(answer.status < 300, answer.bytes.toString())
      return answer
    }
    await made('POST', '/api/v1/tenants', { name: 'phoenix', visibility: 'public' })
    const robot = await made('POST', '/api/v1/tenants/phoenix/robots', { name: 'ci', role: 'owner' })
    const { token } = JSON.parse(robot.bytes.toString()) as { token: string }
    await made('PUT', '/api/v1/tenants/phoenix/members/zoe', { role: 'owner' })
    await made('POST', '/api/v1/tenants/phoenix/grants', {
      subject: '@everybody',
      pattern: 'phoenix/**',
      actions: ['pull', 'push'],
    })
    await made('PUT', '/api/v1/repositories/phoenix/app/visibility', { visibility: 'public' })
    await made('POST', '/api/v1/tenants/phoenix/tag-rules', { repositories: 'phoenix/**', tags: '*' })
    assert.equal((await registry.with(basic('phoenix+ci', token)).send('GET', '/v2/')).status, 200)
    assert.equal((await root.send('DELETE', '/api/v1/tenants/phoenix')).status, 204)
    await made('POST', '/api/v1/tenants', { name: 'phoenix' })

    assert.equal((await registry.with(basic('phoenix+ci', token)).send('GET', '/v2/')).status, 401)
    for (const who of [undefined, registry.login('zoe')]) {
      const client = registry.with(who)
      const expected = who === undefined ? 401 : 403
      assert.equal((await client.send('GET', '/v2/phoenix/app/tags/list')).status, expected)
      assert.equal((await client.send('POST', '/v2/phoenix/app/blobs/uploads/')).status, expected)
    }
    for (const part of ['members', 'grants', 'tag-rules', 'robots']) {
      const { bytes } = await root.send('GET', `/api/v1/tenants/phoenix/${part}`)
      assert.deepEqual((JSON.parse(bytes.toString()) as { items: unknown[] }).items, [], part)
    }
  })

  it('of an account that is disabled, or whose API token was revoked, opens nothing', async () => {
    for (const [name, end] of [
      ['fay', () => registry.metadata.updateAccount(parseAccountName('fay'), { isDisabled: true })],
      [
        'kim',
        () =>
          registry.metadata.updateAccount(parseAccountName('kim'), { expiresAt: new Date(Date.now() - 1) }),
      ],
      ['lee', (id: string) => registry.metadata.revokeCredential(parseAccountName('lee'), id)],
    ] as const) {
      const token = await person(registry.metadata, name)
      const { refresh_token = '' } = tokensIn(
        await registry.with(basic(name, token)).send('GET', '/token?offline_token=true'),
      )
      await end(token.split('_')[1] ?? '')
      assert.equal((await registry.with(basic(name, token)).send('GET', '/v2/')).status, 401)
      assert.equal((await post({ grant_type: 'refresh_token', refresh_token })).status, 401)
    }
  })
})

describe('Guessing passwords', () => {
  const at = (address: string) => ({ headers: { 'x-forwarded-for': address } })

  it('ends at an address, and closes the account to nobody else', async () => {
    await using registry = await startAttacked({
      'auth.mode': 'basic',
      'auth.maxFailures': 3,
      'registry.trustedProxies': '127.0.0.0/8',
    })
    await withPassword(registry, 'ann', accented)
    const guess = async (password: string, address: string) =>
      (await registry.with(basic('ann', password)).send('GET', '/v2/', at(address))).status
    const statuses = []
    for (let round = 0; round < 5; round += 1) statuses.push(await guess(`wrong-${round}`, '203.0.113.5'))
    assert.deepEqual(statuses.slice(0, 3), [401, 401, 401])
    // Slow work may let the first delay of a second pass, but not the next ones.
    assert.equal(statuses.at(-1), 429)
    assert.equal(await guess(accented, '203.0.113.5'), 429)
    assert.equal(await guess(accented, '198.51.100.7'), 200)
    // An API token proves more than a password, and nobody guesses it.
    const token = registry.with(registry.login('dave'))
    assert.equal((await token.send('GET', '/v2/', at('203.0.113.5'))).status, 200)
  })

  it('many at once ends as soon as one after the other', async () => {
    await using registry = await startAttacked({ 'auth.mode': 'basic', 'auth.maxFailures': 3 })
    await withPassword(registry, 'ann', accented)
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        registry.with(basic('ann', `wrong-${index}`)).send('GET', '/v2/'),
      ),
    )
    const looked = all.filter(({ status }) => status === 401).length
    assert.ok(looked >= 1 && looked <= 3, String(looked))
    const late = all.find(({ status }) => status === 429)
    assert.match(late?.headers['retry-after'] ?? '', /^\d+$/)
    const other = await registry.with(registry.login('gina')).send('GET', '/v2/acme/app/tags/list')
    assert.equal(other.status, 200)
  })

  it('of many accounts ends at an address as well', async () => {
    await using registry = await startAttacked({ 'auth.mode': 'basic', 'auth.maxFailures': 1 })
    const statuses = []
    // Names that no account can have cost no work, but count.
    for (let index = 0; index < 15; index += 1)
      statuses.push((await registry.with(basic(`No-${index}`, 'a-password')).send('GET', '/v2/')).status)
    assert.ok(statuses.slice(11).includes(429), statuses.join())
  })
})
