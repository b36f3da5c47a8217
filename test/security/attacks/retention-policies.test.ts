/** Policies of tenants, which say what goes: nonsense, too much, and of others. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { expiryLabelIn } from '../../../src/registry/retention/expiry-label.ts'
import { policiesForTenant } from '../../../src/registry/retention/policies-for-tenant.ts'
import { readyPolicy } from '../../../src/registry/retention/ready-policy.ts'
import { retentionPolicySchema } from '../../../src/retention-policy.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { looseManifest } from '../../support/records.ts'

const acme = parseTenantName('acme')

describe('A retention policy', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  before(async () => {
    const policies = [
      { name: 'mine', repositories: ['acme/app', 'other/secret-project'], otherwise: 'drop', dryRun: true },
      { name: 'theirs', repositories: ['other/**', 'oth*/hidden'], otherwise: 'drop', dryRun: true },
      { name: 'all', repositories: ['**/nightly-*'], otherwise: 'drop', dryRun: true },
    ]
    registry = resources.use(await startAttacked({ 'retention.policies': JSON.stringify(policies) }))
  })
  after(() => resources.disposeAsync())

  const send = async (who: string, method: string, path: string, body?: unknown) =>
    await registry
      .with(registry.login(who))
      .send(
        method,
        path,
        body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } },
      )
  const add = async (policy: unknown, who = 'mia') =>
    await send(who, 'POST', '/api/v1/tenants/acme/retention', { policy })

  it('of the configuration names other tenants and their repositories to nobody', async () => {
    for (const who of ['gina', 'dave', 'mia']) {
      const { status, bytes } = await send(who, 'GET', '/api/v1/tenants/acme/retention')
      assert.equal(status, 200)
      const { items } = JSON.parse(bytes.toString()) as {
        items: { id: string; policy: { repositories: string[] } }[]
      }
      assert.deepEqual(
        items.map(({ id, policy }) => [id, policy.repositories]),
        [
          ['mine', ['acme/app']],
          ['all', ['**/nightly-*']],
        ],
      )
      assert.doesNotMatch(bytes.toString(), /other\/|oth\*|secret|theirs|hidden/)
    }
  })

  it('of the configuration is shown to each tenant that it may cover', () => {
    const segment = fc.stringMatching(/^[ab]{1,3}$/)
    const pattern = fc.stringMatching(/^(?:[ab/]|\*|\*\*){1,8}$/)
    const name = fc.tuple(segment, segment).map(([one, two]) => parseRepositoryName(`${one}/${two}`))
    fc.assert(
      fc.property(pattern, name, (written, repository) => {
        const policy = retentionPolicySchema.parse({ repositories: [written], otherwise: 'drop' })
        const tenant = parseTenantName(repository.split('/')[0] ?? '')
        const [shown] = policiesForTenant([{ name: 'x', policy }], tenant)
        if (readyPolicy('x', policy).covers(repository)) assert.equal(shown?.policy.repositories[0], written)
      }),
      { numRuns: 3000 },
    )
  })

  it('covers nothing of another tenant, however it is written', async () => {
    await registry.unharmed(async () => {
      for (const repositories of [
        ['other/**'],
        ['**'],
        ['*'],
        ['*/app'],
        ['acme**'],
        ['acme*/**'],
        ['acme/**', 'other/app'],
        ['acme/app', 'site/app'],
        ['/acme/**'],
        ['ACME/**'],
      ]) {
        const { status, bytes } = await add({ repositories, otherwise: 'drop' })
        assert.equal(status, 400, `${repositories.join()} ${bytes.toString()}`)
      }
    })
    assert.deepEqual(await registry.metadata.listRetentionPolicies(undefined), [])
  })

  it('of nonsense is refused, and what it has in it is nowhere', async () => {
    const rule = { keepNewest: 1 }
    const repositories = ['acme/**']
    await registry.unharmed(async () => {
      for (const policy of [
        null,
        [],
        'drop everything',
        {},
        { repositories },
        { repositories, rules: Array.from({ length: 10_000 }, () => rule) },
        { repositories: Array.from({ length: 1000 }, () => 'acme/**'), rules: [rule] },
        { repositories, rules: [{ ...rule, tags: ['/(a+)+$/'] }] },
        { repositories, rules: [{ ...rule, tags: ['v*\u0000'] }] },
        { repositories, rules: [{ ...rule, tags: Array.from({ length: 21 }, () => '*a') }] },
        ...[-1, 0, 1.5, 1e308, 100_001, '1', null].map(keepNewest => ({
          repositories,
          rules: [{ keepNewest }],
        })),
        ...['', '0d', '-1d', '1e9d', '3s', '999999999w', '5000w', 'P1D', '1d1d', ' 1d', '1d\n', 1, {}].map(
          pushedWithin => ({ repositories, rules: [{ pushedWithin }] }),
        ),
        { repositories, rules: [{ keepAlways: true, dropAlways: true }] },
        { repositories, rules: [rule], delay: '-1d' },
        { repositories, rules: [rule], untaggedAfter: '0m' },
        { repositories, rules: [rule], name: 'x' },
      ]) {
        const { status, bytes } = await add(policy)
        assert.ok([400, 413].includes(status), `${JSON.stringify(policy).slice(0, 200)} ${bytes.toString()}`)
      }
      const proto = `{"policy":{"repositories":["acme/**"],"otherwise":"drop","__proto__":{"dryRun":true}}}`
      const { status } = await registry
        .with(registry.login('mia'))
        .send('POST', '/api/v1/tenants/acme/retention', {
          body: proto,
          headers: { 'content-type': 'application/json' },
        })
      assert.ok([201, 400].includes(status))
    })
    for (const { id, rules } of await registry.metadata.listRetentionPolicies(acme)) {
      assert.doesNotMatch(rules, /__proto__/)
      await registry.metadata.removeRetentionPolicy(acme, id)
    }
  })

  it('is one of few, though many are added at the same moment', async () => {
    const stars = (count: number) => ({
      repositories: ['acme/unused'],
      rules: [{ tags: Array.from({ length: count }, (_, index) => `*a*${index}`), keepNewest: 1 }],
    })
    const statuses = (await Promise.all(Array.from({ length: 60 }, () => add(stars(1))))).map(
      ({ status }) => status,
    )
    assert.deepEqual(
      statuses.filter(status => status !== 201 && status !== 409),
      [],
    )
    for (let count = 0; count < 25; count += 1) await add(stars(1))
    assert.equal((await registry.metadata.listRetentionPolicies(acme)).length, 20)
    for (const { id } of await registry.metadata.listRetentionPolicies(acme))
      await registry.metadata.removeRetentionPolicy(acme, id)
    await Promise.all(Array.from({ length: 40 }, () => add(stars(20))))
    for (let count = 0; count < 12; count += 1) await add(stars(20))
    assert.equal((await registry.metadata.listRetentionPolicies(acme)).length, 10)
    for (const { id } of await registry.metadata.listRetentionPolicies(acme))
      await registry.metadata.removeRetentionPolicy(acme, id)
  })

  it('with the worst of patterns is applied to the longest of tags, many times at once', async () => {
    const repository = parseRepositoryName('acme/tags')
    const tags = Array.from({ length: 200 }, (_, index) => `${'a'.repeat(120)}${index}`)
    await registry.metadata.putManifest(repository, looseManifest('tags', ...tags))
    const worst = Array.from({ length: 20 }, (_, index) => `${'*a'.repeat(60)}b${index}`)
    const added = await add({ repositories: ['acme/tags'], rules: [{ tags: worst, keepNewest: 1 }] })
    assert.equal(added.status, 201, added.bytes.toString())
    const plans = Array.from({ length: 30 }, () =>
      send('gina', 'GET', '/api/v1/repositories/acme/tags/retention?n=1'),
    )
    // Others are answered meanwhile.
    assert.equal((await send('oscar', 'GET', '/v2/other/app/manifests/1')).status, 200)
    for (const { status } of await Promise.all(plans)) assert.equal(status, 200)
    const { id } = JSON.parse(added.bytes.toString()) as { id: string }
    assert.equal((await send('oscar', 'DELETE', `/api/v1/tenants/acme/retention/${id}`)).status, 404)
    assert.equal((await send('oscar', 'DELETE', `/api/v1/tenants/other/retention/${id}`)).status, 404)
    assert.equal((await send('dave', 'DELETE', `/api/v1/tenants/acme/retention/${id}`)).status, 403)
    assert.equal((await send('mia', 'DELETE', `/api/v1/tenants/acme/retention/${id}`)).status, 204)
  })

  it('and a time of a tag take nothing away that may not be changed', async () => {
    const repository = parseRepositoryName('acme/kept')
    const { metadata } = registry
    await metadata.putManifest(repository, looseManifest('kept', 'v1'))
    await metadata.addTagRule({ tenant: acme, repositories: 'acme/kept', tags: 'v*' })
    assert.equal((await add({ repositories: ['acme/kept'], rules: [{ dropAlways: true }] })).status, 201)
    const expiry = await send('mia', 'PUT', '/api/v1/repositories/acme/kept/tags/v1/expiry', {
      expiresAt: '2000-01-01T00:00:00Z',
    })
    assert.equal(expiry.status, 409)
    for (const expiresAt of ['never', '2000-13-01T00:00:00Z', '+275760-09-13T00:00:00Z', 0, {}, ['x']])
      assert.equal(
        (await send('mia', 'PUT', '/api/v1/repositories/acme/kept/tags/v1/expiry', { expiresAt })).status,
        400,
        JSON.stringify(expiresAt),
      )
    const run = await send('root', 'POST', '/api/v1/retention/runs', {})
    assert.equal(run.status, 201, run.bytes.toString())
    assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), [parseTag('v1')])
  })
})

describe('The labels of a config', () => {
  it('say nothing in whatever somebody makes of it', () => {
    const labels = (value: unknown) => JSON.stringify({ config: { Labels: value } })
    for (const text of [
      '['.repeat(500_000) + ']'.repeat(500_000),
      `${'{"config":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
      '{"config":{"Labels":{"__proto__":{"varve.expires-after":"1m"}}}}',
      '{"__proto__":{"config":{"Labels":{"varve.expires-after":"1m"}}}}',
      labels([['varve.expires-after', '1m']]),
      labels({ 'varve.expires-after': { toString: '1m' } }),
      labels({ 'varve.expires-after': ['1m'] }),
      labels({ 'varve.expires-after': '0m' }),
      labels({ 'varve.expires-after': `${'9'.repeat(100_000)}d` }),
      labels({ 'varve.expires-after': `${' '.repeat(500_000)}x` }),
      labels({ 'varve.expires-after': '-1d' }),
      '\u0000',
      '',
    ])
      assert.equal(expiryLabelIn(Buffer.from(text)), undefined, text.slice(0, 80))
  })
})
