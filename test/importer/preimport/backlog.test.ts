import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Backlog } from '../../../src/importer/preimport/backlog.ts'
import { wanted } from '../../../src/importer/preimport/preimport-rule.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'

describe('wanted', () => {
  const event = {
    position: 1,
    kind: 'tag',
    action: 'tag',
    repository: parseRepositoryName('team/app'),
    tag: parseTag('v1.2'),
  }
  const rule = { registry: 'r.example:5000', repositories: ['team/*'], tags: ['v*', 'latest'] }

  it('names the image of a tag that was set', () =>
    assert.equal(wanted(event, rule), 'r.example:5000/team/app:v1.2'))

  for (const [what, change] of [
    ['a tag that was deleted', { action: 'delete' }],
    ['a manifest that was pushed', { kind: 'manifest', action: 'push' }],
    ['a manifest that was pulled by a tag', { kind: 'manifest', action: 'pull' }],
    ['a blob', { kind: 'blob', action: 'push', tag: undefined }],
    ['no tag', { tag: undefined }],
    ['another repository', { repository: parseRepositoryName('team/app/deeper') }],
    ['another tag', { tag: parseTag('pr-7') }],
    ['what it does not know', { kind: 'moon', action: 'landing' }],
  ] as const)
    it(`wants nothing of ${what}`, () => assert.equal(wanted({ ...event, ...change }, rule), undefined))

  it('wants nothing without patterns', () => {
    assert.equal(wanted(event, { ...rule, repositories: [] }), undefined)
    assert.equal(wanted(event, { ...rule, tags: [] }), undefined)
  })
})

describe('Backlog', () => {
  it('is done up to what is not imported, whatever comes after it', () => {
    const backlog = new Backlog(10)
    assert.equal(backlog.add('a', 12), true)
    assert.equal(backlog.add('b', 13), true)
    backlog.goTo(20)
    assert.equal(backlog.done, 11)
    assert.equal(backlog.settle('a'), false)
    assert.equal(backlog.done, 12)
    assert.equal(backlog.settle('b'), false)
    assert.equal(backlog.done, 20)
  })

  it('makes one import of several pushes, but for those that were told of after it had begun', () => {
    const backlog = new Backlog(0)
    backlog.add('a', 1)
    for (const position of [2, 3, 4]) assert.equal(backlog.add('a', position), false)
    backlog.goTo(4)
    assert.equal(backlog.settle('a'), true)
    assert.equal(backlog.done, 1)
    assert.equal(backlog.settle('a'), false)
    assert.equal(backlog.done, 4)
  })

  it('misses nothing: what was pushed last before a crash is imported after it, or was asked for after it was pushed', () => {
    type Step = { readonly kind: 'push' | 'settle'; readonly image: string }
    const step: fc.Arbitrary<Step> = fc.record({
      kind: fc.constantFrom('push', 'settle'),
      image: fc.constantFrom('a', 'b', 'c'),
    })
    fc.assert(
      fc.property(fc.array(step), steps => {
        const backlog = new Backlog(0)
        const pushed = new Map<string, number>()
        /** What the running import of an image sees, and what the last ended one has. */
        const [sees, has] = [new Map<string, number>(), new Map<string, number>()]
        let position = 0
        for (const { kind, image } of steps) {
          if (kind === 'push') {
            position += 1
            pushed.set(image, position)
            if (backlog.add(image, position)) sees.set(image, position)
            backlog.goTo(position)
          } else if (backlog.has(image)) {
            has.set(image, sees.get(image) ?? 0)
            if (backlog.settle(image)) sees.set(image, pushed.get(image) ?? 0)
          }
          for (const [name, last] of pushed) assert.ok((has.get(name) ?? 0) >= last || backlog.done < last)
        }
        for (const image of pushed.keys()) while (backlog.has(image)) backlog.settle(image)
        assert.deepEqual([backlog.done, backlog.size], [position, 0])
      }),
    )
  })
})
