import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import type { ChainLink } from '../../../src/importer/prune/chain-links.ts'
import { type PruneRules, type PruneState, planPrune } from '../../../src/importer/prune/plan-prune.ts'
import { type FakeLayer, layerOn } from '../../support/fake-layers.ts'
import { imageRecord } from '../../support/image-records.ts'

const now = new Date('2026-11-20T12:00:00Z')
const day = 24 * 60 * 60

/** a─b─c, and d on a: 1, 10, 100 and 1000 bytes. */
const a = layerOn(null, 'a')
const b = layerOn(a, 'b')
const c = layerOn(b, 'c')
const d = layerOn(a, 'd')
const links = [link(a, 1), link(b, 10), link(c, 100), link(d, 1000)]

const base = used('x/base:1', [a], 40)
const middle = used('x/middle:1', [a, b], 30)
const top = used('x/top:1', [a, b, c], 20)
const branch = used('x/branch:1', [a, d], 10)
const whole: PruneState = { images: [branch, middle, base, top], links, clones: [], published: [] }

describe('planPrune', () => {
  it('removes nothing without a bound', () => {
    const plan = planPrune({ ...whole, images: [] }, rules({}))
    assert.deepEqual([plan.images, plan.orphans, plan.kept], [[], [], []])
    assert.deepEqual([plan.usedBytesBefore, plan.usedBytesAfter], [1111, 1111])
  })

  it('removes what was not used for so long, and chains with the last image that has them', () => {
    const plan = planPrune(whole, rules({ unusedSeconds: 20 * day }))
    assert.deepEqual(namesOf(plan.images), ['x/base:1', 'x/middle:1', 'x/top:1'])
    assert.deepEqual(
      plan.images.map(({ chains }) => chains),
      [[], [], [c.chain, b.chain]],
    )
    assert.deepEqual([plan.usedBytesBefore, plan.usedBytesAfter], [1111, 1001])
  })

  it('removes the least recently used until the target is reached', () => {
    const plan = planPrune(whole, rules({ targetBytes: 1100 }))
    assert.equal(plan.usedBytesAfter, 1001)
    assert.deepEqual(namesOf(plan.images), ['x/middle:1', 'x/top:1'])
    assert.deepEqual(namesOf(planPrune(whole, rules({ targetBytes: 1111 })).images), [])
    assert.equal(planPrune(whole, rules({ targetBytes: 0 })).usedBytesAfter, 0)
  })

  it('removes for the sake of a target only what was not used for so long', () => {
    const plan = planPrune(whole, rules({ targetBytes: 0, unusedSeconds: 15 * day }))
    assert.equal(plan.usedBytesAfter, 1001)
    assert.deepEqual(namesOf(plan.images), ['x/middle:1', 'x/top:1'])
    // It is older than both, and all that it has is needed by the one that stays.
    assert.deepEqual(plan.kept, [
      { image: 'x/base:1', reason: 'removing it frees nothing, for its layers are needed by others' },
    ])
  })

  it('keeps what clones were made from, of whichever image', () => {
    const clones = ['web1', 'web2', 'web3', 'web4'].map(name => ({
      name: parseCloneName(name),
      chain: b.chain,
    }))
    const plan = planPrune({ ...whole, clones }, rules({ unusedSeconds: 0 }))
    assert.deepEqual(plan.kept, [
      { image: 'x/middle:1', reason: '4 clones were made from it (web1, web2, web3 …)' },
    ])
    assert.equal(plan.usedBytesAfter, 11)
    const [first] = clones
    assert.ok(first)
    const twin = used('x/twin:1', [a, b], 5)
    const named = { ...first, manifestDigest: twin.record.manifestDigest }
    const state = { ...whole, images: [...whole.images, twin], clones: [named] }
    assert.deepEqual(planPrune(state, rules({ unusedSeconds: 0 })).kept, [
      { image: 'x/twin:1', reason: 'a clone was made from it (web1)' },
    ])
    // Of an image that is no longer recorded: any that ends in the chain may have to tell what runs in it.
    const orphaned = { ...first, manifestDigest: imageRecord('x/gone:1', [a]).manifestDigest }
    assert.equal(planPrune({ ...state, clones: [orphaned] }, rules({ unusedSeconds: 0 })).kept.length, 2)
  })

  it('keeps what is published', () => {
    const published = [{ dataset: 'tank/0c3c7ff2-7b1e-5b4b-9a4f-000000000000', chain: c.chain }]
    const plan = planPrune({ ...whole, published }, rules({ unusedSeconds: 0 }))
    assert.deepEqual(plan.kept, [
      { image: 'x/top:1', reason: 'it is published as tank/0c3c7ff2-7b1e-5b4b-9a4f-000000000000' },
    ])
    assert.equal(plan.usedBytesAfter, 111)
  })

  it('keeps what could not be removed, and takes others in its place', () => {
    const refused = new Map([[top.record.manifestDigest, 'it is busy']])
    const plan = planPrune(whole, rules({ targetBytes: 200, refused }))
    assert.deepEqual(namesOf(plan.images), ['x/branch:1'])
    assert.equal(plan.usedBytesAfter, 111)
    assert.deepEqual(
      plan.kept.map(({ image }) => image),
      ['x/top:1', 'x/base:1', 'x/middle:1'],
    )
  })

  it('removes chains that no image has after a while, the longest first', () => {
    const state = { ...whole, images: [base] }
    assert.deepEqual(planPrune(state, rules({ unusedSeconds: 50 * day, orphanSeconds: 0 })).orphans, [])
    const plan = planPrune(state, rules({ unusedSeconds: 45 * day }))
    assert.deepEqual([plan.orphans.length, plan.usedBytesAfter], [0, 1111])
    const all = planPrune(state, rules({ unusedSeconds: 9 * day, orphanSeconds: 10 * day }))
    assert.deepEqual(all.orphans.toSorted(), [b.chain, c.chain, d.chain].toSorted())
    assert.ok(all.orphans.indexOf(c.chain) < all.orphans.indexOf(b.chain))
    // Those that are young keep what they are built upon.
    const young = links.map(one => (one.chain === c.chain ? { ...one, createdAt: now } : one))
    assert.deepEqual(planPrune({ ...state, links: young }, rules({ targetBytes: 0 })).orphans, [d.chain])
  })

  it('keeps chains that a clone alone needs', () => {
    const clones = [{ name: parseCloneName('web'), chain: c.chain }]
    const plan = planPrune({ ...whole, images: [], clones }, rules({ targetBytes: 0 }))
    assert.deepEqual([plan.orphans, plan.usedBytesAfter], [[d.chain], 111])
  })

  it('does without chains that somebody has destroyed', () => {
    const plan = planPrune({ ...whole, links: links.slice(0, 1) }, rules({ unusedSeconds: 0 }))
    assert.equal(plan.images.length, 4)
    assert.equal(plan.usedBytesAfter, 0)
  })

  it('ends removals that were cut short, though the target is reached and they were used just now', () => {
    const state = { ...whole, images: whole.images.map(image => ({ ...image, lastUsedAt: now })), links: [] }
    const bounds = { targetBytes: 1000, unusedSeconds: day }
    assert.equal(planPrune(state, rules(bounds)).images.length, 4)
    assert.equal(planPrune(state, rules({})).images.length, 0)
  })
})

function link(layer: FakeLayer, usedBytes: number): ChainLink {
  const createdAt = new Date(now.getTime() - 40 * day * 1000)
  return { chain: layer.chain, parent: layer.facts.parent, createdAt, usedBytes }
}

function used(name: string, layers: readonly FakeLayer[], daysAgo: number) {
  return { record: imageRecord(name, layers), lastUsedAt: new Date(now.getTime() - daysAgo * day * 1000) }
}

function rules(given: Partial<PruneRules>): PruneRules {
  return { now, orphanSeconds: day, refused: new Map(), ...given }
}

function namesOf(images: readonly { readonly record: { readonly names: readonly string[] } }[]): string[] {
  return images.flatMap(({ record }) => record.names)
}
