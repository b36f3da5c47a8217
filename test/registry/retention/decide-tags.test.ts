import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decideTags } from '../../../src/registry/retention/decide-tags.ts'
import type { TagFacts } from '../../../src/storage/metadata/retention-records.ts'
import { namePattern } from '../../../src/storage/name-pattern.ts'
import { dayMs, longKnown, policyFrom, tagFacts } from '../../support/tag-facts.ts'

function going(tags: readonly TagFacts[], ...policies: object[]): string[] {
  const ready = policies.map((policy, index) => policyFrom(policy, `p${index}`))
  return decideTags(tags, ready, longKnown)
    .filter(({ outcome }) => outcome === 'goes')
    .map(({ facts }) => facts.tag)
}

function reasonOf(facts: TagFacts, ...policies: object[]): string {
  const [verdict] = decideTags(
    [facts],
    policies.map(policy => policyFrom(policy)),
    longKnown,
  )
  return `${verdict?.outcome}: ${verdict?.reason}`
}

const four = [tagFacts('a', 1, 0.5), tagFacts('b', 20, 2), tagFacts('c', 40, 1), tagFacts('d', 60)]

describe('What becomes of tags', () => {
  it('keeps everything without a policy, and what no rule is about', () => {
    assert.deepEqual(going(four), [])
    assert.deepEqual(going(four, { rules: [{ tags: ['x*'], keepNewest: 1 }] }), [])
    assert.deepEqual(going(four, { rules: [{ tags: ['x*'], keepNewest: 1 }], otherwise: 'drop' }), [
      'a',
      'b',
      'c',
      'd',
    ])
  })

  for (const [what, rules, expected] of [
    ['the newest by push', [{ keepNewest: 2 }], ['c', 'd']],
    ['the newest by pull', [{ keepNewest: 2, newestBy: 'pull' }], ['b', 'd']],
    ['what was pushed within a time', [{ pushedWithin: '30d' }], ['c', 'd']],
    ['what was pulled within a time', [{ pulledWithin: '36h' }], ['b', 'd']],
    ['what either says', [{ pushedWithin: '10d', pulledWithin: '36h' }], ['b', 'd']],
    ['what any rule keeps', [{ keepNewest: 1 }, { pulledWithin: '36h' }], ['b', 'd']],
    ['what a rule always keeps', [{ keepNewest: 1 }, { tags: ['d'], keepAlways: true }], ['b', 'c']],
    ['nothing of what a rule always drops', [{ keepNewest: 9 }, { tags: ['a'], dropAlways: true }], ['a']],
    ['what is always kept and always dropped', [{ keepAlways: true }, { dropAlways: true }], []],
    [
      'each rule’s own newest',
      [
        { tags: ['a', 'b'], keepNewest: 1 },
        { tags: ['c', 'd'], keepNewest: 1 },
      ],
      ['b', 'd'],
    ],
    ['what is excepted', [{ except: ['d'], keepNewest: 1 }], ['b', 'c']],
  ] as const)
    it(`keeps ${what}`, () => {
      assert.deepEqual(going(four, { rules }), expected)
    })

  it('takes a push for a pull, so that what is new and was never pulled stays', () => {
    const tags = [tagFacts('new', 0.5), tagFacts('old', 90, 3)]
    assert.deepEqual(going(tags, { rules: [{ keepNewest: 1, newestBy: 'pull' }] }), ['old'])
    assert.deepEqual(going(tags, { rules: [{ pulledWithin: '1d' }] }), ['old'])
  })

  it('takes what may have been pulled before that was written down for pulled', () => {
    const tags = [tagFacts('v1', 400)]
    const policies = [policyFrom({ rules: [{ pulledWithin: '30d' }] })]
    const since = (days: number) => ({
      ...longKnown,
      pullsKnownSince: new Date(longKnown.now.getTime() - days * dayMs),
    })
    assert.equal(decideTags(tags, policies, since(29))[0]?.outcome, 'kept')
    assert.equal(decideTags(tags, policies, since(31))[0]?.outcome, 'goes')
  })

  it('lets a pull that comes later keep what went by its pulls', () => {
    const decide = (facts: TagFacts, rules: object[]) =>
      decideTags([facts], [policyFrom({ rules })], longKnown)[0]?.notPulledSince?.getTime()
    assert.equal(
      decide(tagFacts('v1', 90, 60), [{ pulledWithin: '30d' }]),
      longKnown.now.getTime() - 60 * dayMs + 1,
    )
    assert.equal(decide(tagFacts('v1', 90), [{ pulledWithin: '30d' }]), 1)
    assert.equal(decide(tagFacts('v1', 90), [{ pushedWithin: '30d' }]), undefined)
  })

  it('never drops what may not be changed', () => {
    const tags = [tagFacts('v1', 90, undefined, { isImmutable: true })]
    assert.deepEqual(going(tags, { rules: [{ dropAlways: true }], otherwise: 'drop' }), [])
  })

  it('keeps what belongs to a manifest as long as that, and counts it for nothing', () => {
    const signature = (tag: string, isOwnerPresent: boolean, days: number) =>
      tagFacts(tag, days, undefined, { isOwnerPresent })
    const tags = [
      signature('sha256-a.sig', true, 90),
      signature('sha256-b.sig', false, 90),
      signature('sha256-c.sig', false, 0.5),
      signature('sha256-d.sig', true, 0),
      tagFacts('v1', 100),
    ]
    assert.deepEqual(going(tags, { rules: [{ keepNewest: 1 }] }), ['sha256-b.sig'])
    assert.deepEqual(going(tags, { rules: [{ dropAlways: true }] }), ['sha256-b.sig', 'v1'])
    assert.deepEqual(going(tags), [])
  })

  it('waits for the delay of a policy', () => {
    assert.deepEqual(
      going(four, { rules: [{ tags: ['x'], keepNewest: 1 }], otherwise: 'drop', delay: '30d' }),
      ['c', 'd'],
    )
    assert.deepEqual(going(four, { rules: [{ dropAlways: true }], delay: '30d' }), ['c', 'd'])
  })

  it('shows what a policy would do that only shows it, and does not do it', () => {
    const policies = [
      policyFrom({ rules: [{ keepNewest: 3 }] }),
      policyFrom({ rules: [{ tags: ['c'], dropAlways: true }], dryRun: true }),
    ]
    const outcomes = decideTags(four, policies, longKnown).map(({ outcome }) => outcome)
    assert.deepEqual(outcomes, ['kept', 'kept', 'wouldGo', 'goes'])
  })

  it('says what a policy would keep that only shows what it would do', () => {
    const reasons = decideTags(
      [tagFacts('a', 3, 3), tagFacts('b', 3, 3), tagFacts('x', 3, 3)],
      [
        policyFrom({ rules: [{ tags: ['a'], keepNewest: 1 }] }),
        policyFrom({ rules: [{ tags: ['a', 'b'], keepAlways: true }], dryRun: true }),
      ],
      longKnown,
    ).map(({ outcome, reason }) => `${outcome}: ${reason}`)
    assert.deepEqual(reasons, [
      'kept: one of the newest 1 by push: rule 1 of policy p',
      'kept: rule 1 of policy p keeps it always',
      'kept: no rule is about it',
    ])
  })

  it('says why', () => {
    const facts = tagFacts('v1', 40, 35)
    for (const [policy, expected] of [
      [{ rules: [{ keepNewest: 10 }] }, 'kept: one of the newest 10 by push: rule 1 of policy p'],
      [{ rules: [{ pushedWithin: '8w' }] }, 'kept: pushed 40 days ago, within 8w: rule 1 of policy p'],
      [{ rules: [{ pulledWithin: '8w' }] }, 'kept: in use 35 days ago, within 8w: rule 1 of policy p'],
      [{ rules: [{ pushedWithin: '30d' }] }, 'goes: pushed 40 days ago, kept for 30d: rule 1 of policy p'],
      [
        { rules: [{ pulledWithin: '30d', pushedWithin: '36h' }] },
        'goes: pushed 40 days ago, kept for 36h, not in use for 35 days, kept for 30d: rule 1 of policy p',
      ],
      [{ rules: [{ tags: ['x'], keepAlways: true }] }, 'kept: no rule is about it'],
      [{ rules: [{ keepAlways: true }] }, 'kept: rule 1 of policy p keeps it always'],
      [{ rules: [{ dropAlways: true }] }, 'goes: rule 1 of policy p drops it always'],
      [{ otherwise: 'drop' }, 'goes: no rule of policy p is about it'],
      [{ otherwise: 'drop', delay: '8w' }, 'kept: it is younger than the delay of the policy'],
    ] as const)
      assert.equal(reasonOf(facts, policy), expected)
  })
})

const pattern = fc.constantFrom('*', 'a*', 'b*', '*1', 'a1', 'x')
const time = fc.constantFrom('1d', '5d', '20d', '50d')
const keepRule = fc.record(
  {
    tags: fc.array(pattern, { minLength: 1, maxLength: 2 }),
    except: fc.array(pattern, { maxLength: 1 }),
    keepNewest: fc.integer({ min: 1, max: 5 }),
    newestBy: fc.constantFrom('push', 'pull'),
    pushedWithin: time,
    pulledWithin: time,
  },
  { requiredKeys: ['keepNewest'] },
)
const anyRule = fc.oneof(
  keepRule,
  fc.record({ tags: fc.array(pattern, { minLength: 1, maxLength: 1 }), dropAlways: fc.constant(true) }),
  fc.record({ tags: fc.array(pattern, { minLength: 1, maxLength: 1 }), keepAlways: fc.constant(true) }),
)
const someTags = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(9)), { selector: String, maxLength: 12 })
  .chain(names =>
    fc.tuple(
      ...names.map(([letter, digit]) =>
        fc
          .tuple(fc.nat(60), fc.option(fc.nat(60), { nil: undefined }))
          .map(([pushed, pulled]) => tagFacts(`${letter}${digit}`, pushed, pulled)),
      ),
    ),
  )
const somePolicy = fc.record(
  {
    rules: fc.array(anyRule, { minLength: 1, maxLength: 4 }),
    otherwise: fc.constantFrom('keep', 'drop'),
    delay: time,
  },
  { requiredKeys: ['rules'] },
)

describe('Whatever the rules are', () => {
  it('one more rule that keeps never lets more go, but of what no rule was about', () => {
    fc.assert(
      fc.property(someTags, somePolicy, keepRule, (tags, policy, rule) => {
        const before = new Set(going(tags, policy))
        const wasMeant = (tag: string) =>
          policy.otherwise === 'drop' ||
          policy.rules.some(({ tags: wanted = ['*'], ...rest }) => {
            const except = 'except' in rest ? (rest.except ?? []) : []
            const fits = (patterns: readonly string[]) => patterns.some(each => namePattern(each).test(tag))
            return fits(wanted) && !fits(except)
          })
        for (const tag of going(tags, { ...policy, rules: [...policy.rules, rule] }))
          assert.ok(before.has(tag) || !wasMeant(tag), tag)
      }),
    )
  })

  it('one more policy that keeps everything lets nothing go', () => {
    fc.assert(
      fc.property(someTags, fc.array(somePolicy, { maxLength: 3 }), (tags, policies) => {
        assert.deepEqual(going(tags, ...policies, { rules: [{ keepAlways: true }] }), [])
      }),
    )
  })

  it('what is left when that has gone stays, if it is decided on again', () => {
    fc.assert(
      fc.property(someTags, fc.array(somePolicy, { maxLength: 3 }), (tags, policies) => {
        const gone = new Set(going(tags, ...policies))
        const left = tags.filter(({ tag }) => !gone.has(tag))
        assert.deepEqual(going(left, ...policies), [])
      }),
    )
  })

  it('the order of tags and policies changes nothing of what goes', () => {
    fc.assert(
      fc.property(someTags, fc.array(somePolicy, { maxLength: 3 }), (tags, policies) => {
        assert.deepEqual(
          going([...tags].reverse(), ...[...policies].reverse()).sort(),
          going(tags, ...policies).sort(),
        )
      }),
    )
  })
})
