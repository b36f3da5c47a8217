import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readPolicies } from '../../../src/registry/retention/policies.ts'
import { readyPolicy } from '../../../src/registry/retention/ready-policy.ts'
import {
  configuredRetentionPolicySchema,
  durationMs,
  retentionPolicySchema,
} from '../../../src/retention-policy.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'

describe('A retention policy as it is written', () => {
  it('has times with units', () => {
    for (const [text, ms] of [
      ['1m', 60_000],
      ['2h', 7_200_000],
      ['3d', 259_200_000],
      ['4w', 2_419_200_000],
      ['0d', undefined],
      ['3', undefined],
      ['-3d', undefined],
      ['3.5d', undefined],
      ['3 d', undefined],
      ['3s', undefined],
      ['99999999w', undefined],
      ['999999999999999999999d', undefined],
      ['', undefined],
    ] as const)
      assert.equal(durationMs(text), ms, text)
  })

  for (const [what, written] of [
    ['no repositories', { repositories: [], rules: [{ keepNewest: 1 }] }],
    ['no effect', { repositories: ['a/**'] }],
    ['a rule that says nothing', { repositories: ['a/**'], rules: [{ tags: ['v*'] }] }],
    ['a rule that says two things', { repositories: ['a/**'], rules: [{ keepNewest: 1, keepAlways: true }] }],
    ['a name that is not known', { repositories: ['a/**'], rules: [{ keepNewest: 1, keep: 2 }] }],
    [
      'a regular expression of a tenant',
      { repositories: ['a/**'], rules: [{ tags: ['/(a+)+/'], keepNewest: 1 }] },
    ],
    ['a number that is too small', { repositories: ['a/**'], rules: [{ keepNewest: 0 }] }],
    ['a time that is none', { repositories: ['a/**'], rules: [{ pushedWithin: 'soon' }] }],
    [
      'too many rules',
      { repositories: ['a/**'], rules: Array.from({ length: 21 }, () => ({ keepNewest: 1 })) },
    ],
    [
      'a pattern that is too long',
      { repositories: ['a/**'], rules: [{ tags: ['a'.repeat(129)], keepNewest: 1 }] },
    ],
  ] as const)
    it(`is refused with ${what}`, () => {
      assert.equal(retentionPolicySchema.safeParse(written).success, false)
    })

  it('may have regular expressions where whoever runs the registry writes it', () => {
    const written = { name: 'x', repositories: ['**'], rules: [{ tags: ['/pr-[0-9]+/'], keepNewest: 1 }] }
    const { name, ...policy } = configuredRetentionPolicySchema.parse(written)
    const [rule] = readyPolicy(name, policy).rules
    assert.deepEqual(
      ['pr-12', 'pr-12x', 'xpr-12'].map(tag => rule?.fits(tag)),
      [true, false, false],
    )
    const broken = { ...written, rules: [{ tags: ['/(/'], keepNewest: 1 }] }
    assert.equal(configuredRetentionPolicySchema.safeParse(broken).success, false)
  })
})

describe('Which policies cover a repository', () => {
  const acme = parseTenantName('acme')
  const [app, other] = ['acme/app', 'other/app'].map(parseRepositoryName)
  const stored = (rules: string) => ({ tenant: acme, id: 'own', rules, createdAt: new Date() })
  const rules = JSON.stringify({ repositories: ['**'], rules: [{ keepNewest: 1 }] })
  const configured = [
    { name: 'all', policy: retentionPolicySchema.parse({ repositories: ['**'], otherwise: 'drop' }) },
  ]
  async function covering(name: typeof app, list: ReturnType<typeof stored>[], isExempt = false) {
    assert.ok(name)
    const records = { listRetentionPolicies: async () => list }
    const policies = await readPolicies({ records, configured, isExempt: () => isExempt }, {})
    return policies.covering(name).map(policy => policy.name)
  }

  it('are its tenant’s, never another’s, and then the configuration’s', async () => {
    assert.deepEqual(await covering(app, [stored(rules)]), ['own', 'all'])
    assert.deepEqual(await covering(other, [stored(rules)]), ['all'])
  })

  it('are none for copies of upstreams, nor where one cannot be understood', async () => {
    assert.deepEqual(await covering(app, [stored(rules)], true), [])
    const newer = JSON.stringify({ repositories: ['**'], rules: [{ keepSigned: true }] })
    assert.deepEqual(await covering(app, [stored(rules), stored(newer)]), [])
    assert.deepEqual(await covering(other, [stored(newer)]), ['all'])
  })
})
