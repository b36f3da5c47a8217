import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { topChainOf } from '../../src/importer/images/image-record.ts'
import type { ChainLink } from '../../src/importer/prune/chain-links.ts'
import { needsOf } from '../../src/importer/prune/needed-by.ts'
import {
  type PrunePlan,
  type PruneRules,
  type PruneState,
  planPrune,
  type UsedImage,
} from '../../src/importer/prune/plan-prune.ts'
import type { ChainId } from '../../src/storage/chain-id.ts'
import { type FakeLayer, layerOn } from '../support/fake-layers.ts'
import { imageRecord } from '../support/image-records.ts'

const now = new Date('2026-11-20T12:00:00Z')
const orphanSeconds = 20

/** A store with a forest of chains, some of which images, clones and publications end in, as they please. */
const states: fc.Arbitrary<PruneState> = fc
  .record({
    parents: fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
    bytes: fc.array(fc.nat(100), { minLength: 12, maxLength: 12 }),
    ages: fc.array(fc.nat(50), { minLength: 12, maxLength: 12 }),
    images: fc.array(fc.record({ top: fc.nat(), age: fc.nat(50) }), { maxLength: 8 }),
    clones: fc.array(fc.record({ of: fc.nat(), byImage: fc.boolean() }), { maxLength: 3 }),
    published: fc.array(fc.nat(), { maxLength: 2 }),
    destroyed: fc.option(fc.nat()),
  })
  .map(({ parents, bytes, ages, images, clones, published, destroyed }) => {
    const paths: FakeLayer[][] = []
    for (const [index, parent] of parents.entries()) {
      // One in the length of what is there begins a tree of its own.
      const below = paths[parent % (paths.length + 1)] ?? []
      paths.push([...below, layerOn(below.at(-1) ?? null, `layer ${index}`)])
    }
    const pathOf = (choice: number): FakeLayer[] => paths[choice % paths.length] ?? []
    const chainOf = (choice: number): ChainId => tipOf(pathOf(choice)).chain
    const gone = destroyed === null ? undefined : tipOf(pathOf(destroyed)).chain
    const links = paths
      .filter(path => path.every(({ chain }) => chain !== gone))
      .map(
        (path, index): ChainLink => ({
          chain: tipOf(path).chain,
          parent: tipOf(path).facts.parent,
          createdAt: secondsAgo(ages[index] ?? 0),
          usedBytes: bytes[index] ?? 0,
        }),
      )
    const recorded = images.map(({ top, age }, index) => ({
      record: imageRecord(`x/image${index}:1`, pathOf(top)),
      lastUsedAt: secondsAgo(age),
    }))
    const here = (chain: ChainId): boolean => links.some(link => link.chain === chain)
    return {
      links,
      images: recorded,
      clones: clones
        .map(({ of, byImage }, index) => {
          const image = recorded[of % Math.max(1, recorded.length)]?.record
          const name = parseCloneName(`web${index}`)
          return byImage && image !== undefined
            ? { name, chain: topChainOf(image), manifestDigest: image.manifestDigest }
            : { name, chain: chainOf(of) }
        })
        .filter(({ chain }) => here(chain)),
      published: published
        .map(choice => ({ dataset: `tank/${choice}`, chain: chainOf(choice) }))
        .filter(({ chain }) => here(chain)),
    }
  })

/** Nobody can use it, so it goes whatever the rules say. */
function isHalfRemoved({ record }: UsedImage, { links }: PruneState): boolean {
  return links.every(({ chain }) => chain !== topChainOf(record))
}

const bounds = fc.record({ unusedSeconds: fc.nat(60), targetBytes: fc.nat(600) }, { requiredKeys: [] })

describe('planPrune on any store', () => {
  it('never removes what an image that stays, a clone, or a publication needs', () => {
    check((state, rules, plan) => {
      for (const { record } of plan.images) assert.equal(needsOf(state)(record), undefined)
      const after = afterwards(state, plan)
      const left = new Set(after.links.map(({ chain }) => chain))
      const before = new Set(state.links.map(({ chain }) => chain))
      const needed = [
        ...after.images.flatMap(({ record }) => record.layers.map(({ chainId }) => chainId)),
        ...state.clones.map(({ chain }) => chain),
        ...state.published.map(({ chain }) => chain),
      ]
      for (const chain of needed) assert.equal(left.has(chain), before.has(chain))
      for (const { parent } of after.links) assert.ok(parent === null || left.has(parent))
      assert.ok(
        rules.targetBytes !== undefined || rules.unusedSeconds !== undefined || plan.images.length === 0,
      )
    })
  })

  it('removes each chain once, and only after all that is built upon it', () => {
    check((state, _rules, plan) => {
      const removed = [...plan.orphans, ...plan.images.flatMap(({ chains }) => chains)]
      assert.equal(new Set(removed).size, removed.length)
      const there = new Map(state.links.map(link => [link.chain, link]))
      for (const chain of removed) {
        assert.ok(there.delete(chain))
        assert.ok(![...there.values()].some(({ parent }) => parent === chain))
      }
      const bytes = [...there.values()].reduce((sum, { usedBytes }) => sum + usedBytes, 0)
      assert.equal(plan.usedBytesAfter, bytes)
    })
  })

  it('goes by last use, and says of every older one why it stays', () => {
    check((state, rules, plan) => {
      const whole = plan.images.filter(image => !isHalfRemoved(image, state))
      const times = whole.map(({ lastUsedAt }) => lastUsedAt.getTime())
      assert.deepEqual(
        times,
        times.toSorted((left, right) => left - right),
      )
      const youngest = times.at(-1) ?? 0
      const told = new Set([
        ...plan.images.flatMap(({ record }) => record.names),
        ...plan.kept.map(({ image }) => image),
      ])
      for (const { record, lastUsedAt } of state.images)
        if (lastUsedAt.getTime() < youngest) assert.ok(told.has(record.names[0] ?? ''))
      const age = (rules.unusedSeconds ?? 0) * 1000
      for (const time of times) assert.ok(now.getTime() - time >= age)
      for (const chain of plan.orphans) {
        const createdAt = state.links.find(link => link.chain === chain)?.createdAt ?? now
        assert.ok(now.getTime() - createdAt.getTime() >= Math.max(age, orphanSeconds * 1000))
      }
    })
  })

  it('reaches the target where it can be reached, and is done then', () => {
    check((state, rules, plan) => {
      const least = planPrune(state, { ...rules, targetBytes: 0 }).usedBytesAfter
      if (rules.targetBytes !== undefined)
        assert.ok(plan.usedBytesAfter <= rules.targetBytes || plan.usedBytesAfter === least)
      const again = planPrune(afterwards(state, plan), rules)
      assert.deepEqual([again.images, again.orphans], [[], []])
    })
  })

  it('takes no image for a target without getting anything for it', () => {
    check((state, rules, plan) => {
      const gone = new Set(plan.images.flatMap(({ chains }) => chains))
      if (rules.targetBytes !== undefined)
        for (const image of plan.images)
          assert.ok(
            image.record.layers.some(({ chainId }) => gone.has(chainId)) || isHalfRemoved(image, state),
          )
    })
  })
})

function check(property: (state: PruneState, rules: PruneRules, plan: PrunePlan) => void): void {
  fc.assert(
    fc.property(states, bounds, fc.option(fc.nat()), (state, bound, choice) => {
      const stubborn = choice === null ? undefined : state.images[choice % Math.max(1, state.images.length)]
      const refused = new Map(stubborn && [[stubborn.record.manifestDigest, 'it is busy']])
      const rules = { ...bound, now, orphanSeconds, refused }
      property(state, rules, planPrune(state, rules))
    }),
    { numRuns: 1000 },
  )
}

function afterwards(state: PruneState, plan: PrunePlan): PruneState {
  const gone = new Set([...plan.orphans, ...plan.images.flatMap(({ chains }) => chains)])
  const removed = new Set(plan.images.map(({ record }) => record.manifestDigest))
  return {
    ...state,
    links: state.links.filter(({ chain }) => !gone.has(chain)),
    images: state.images.filter(({ record }) => !removed.has(record.manifestDigest)),
  }
}

function secondsAgo(seconds: number): Date {
  return new Date(now.getTime() - seconds * 1000)
}

function tipOf(path: readonly FakeLayer[]): FakeLayer {
  const tip = path.at(-1)
  assert.ok(tip)
  return tip
}
