import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import semver from 'semver'
import {
  pairRepositories,
  repositorySelection,
  sourceNamesOf,
  targetNameOf,
} from '../../../src/registry/mirror/repository-selection.ts'
import { isAttachedTag, newestVersions, tagSelection } from '../../../src/registry/mirror/tag-selection.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { mirrorJob } from '../../support/mirror-run.ts'

const rules = (tags: Record<string, unknown>) => mirrorJob({ tags }).tags

const segment = fc.stringMatching(/^[a-z0-9]{1,3}$/)
const name = fc.array(segment, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'))
const prefix = fc.array(segment, { maxLength: 2 }).map(parts => parts.map(part => `${part}/`).join(''))
const version = fc
  .tuple(fc.nat(12), fc.nat(12), fc.nat(12), fc.constantFrom('', '-rc.1', '-alpine'), fc.boolean())
  .map(([major, minor, patch, more, v]) => `${v ? 'v' : ''}${major}.${minor}.${patch}${more}`)

describe('which tags a job means', () => {
  it('all, without rules; but none that belongs to another', () => {
    const { isOpen, means } = tagSelection(rules({}))
    assert.equal(isOpen, true)
    assert.equal(means('latest'), true)
    const hex = 'a'.repeat(64)
    for (const tag of [`sha256-${hex}`, `sha256-${hex}.sig`, `sha512-${'a'.repeat(100)}`]) {
      assert.equal(means(tag), false, tag)
      assert.equal(tagSelection(rules({ names: [tag] })).means(tag), true, tag)
    }
    assert.equal(isAttachedTag('sha256-is-a-name'), false)
  })

  it('names alone are not asked for, and other rules let in more', () => {
    const named = tagSelection(rules({ names: ['a', 'b', 'a'], exclude: ['a'] }))
    assert.deepEqual([named.isOpen, named.names], [false, ['a', 'b']])
    assert.deepEqual([named.means('a'), named.means('c')], [true, false])
    const both = tagSelection(rules({ names: ['a'], include: ['v.'], exclude: ['v2'] }))
    assert.deepEqual(
      [both.isOpen, both.means('a'), both.means('v1'), both.means('v2')],
      [true, true, true, false],
    )
  })

  it('expressions fit as a whole', () => {
    const { means } = tagSelection(rules({ include: ['v[0-9]|latest', '[\\w.-]*-lts'] }))
    for (const tag of ['v1', 'latest', '20.x-lts']) assert.equal(means(tag), true, tag)
    for (const tag of ['v10', 'xv1', 'latest-1', 'lts']) assert.equal(means(tag), false, tag)
  })

  it('ranges take versions of three numbers, and no others', () => {
    const { means } = tagSelection(rules({ semver: '>=1.2 <3' }))
    for (const tag of ['1.2.0', 'v2.9.9']) assert.equal(means(tag), true, tag)
    for (const tag of ['1.2', '2', 'latest', '3.0.0', '1.2.0-rc.1', '2.0.0-alpine', '1.1.9'])
      assert.equal(means(tag), false, tag)
    const release = tagSelection(rules({ semver: '>=1.2.0-rc.1' }))
    assert.deepEqual(['1.2.0-rc.2', '1.2.1-rc.1', '1.2.1'].map(release.means), [true, false, true])
  })

  it('the newest are those than which none that is left out is newer', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(version, { maxLength: 20 }),
        fc.integer({ min: 1, max: 10 }),
        (texts, count) => {
          const tags = texts.map(parseTag)
          const newest = newestVersions(tags, count)
          assert.equal(newest.length, Math.min(count, tags.length))
          assert.deepEqual(new Set(newest).size, newest.length)
          const oldest = newest.at(-1)
          for (const tag of tags)
            if (!newest.includes(tag) && oldest !== undefined)
              assert.ok(semver.compareLoose(tag, oldest) <= 0, `${tag} is newer than ${oldest}`)
          assert.deepEqual(newestVersions(tags.toReversed(), count), newest)
        },
      ),
    )
  })

  it('what the rules let in is what each of them lets in', () => {
    fc.assert(
      fc.property(
        fc.array(version, { maxLength: 10 }),
        fc.constantFrom([], ['v.*'], ['1.*', 'v2.*']),
        fc.constantFrom([], ['.*-rc.*'], ['.*0']),
        fc.constantFrom(undefined, '*', '>=2', '^1.2'),
        (tags, include, exclude, range) => {
          const { means } = tagSelection(rules({ include, exclude, ...(range && { semver: range }) }))
          const isAny = (patterns: readonly string[], tag: string) =>
            patterns.some(pattern => new RegExp(`^(${pattern})$`).test(tag))
          for (const tag of tags)
            assert.equal(
              means(tag),
              (include.length === 0 || isAny(include, tag)) &&
                !isAny(exclude, tag) &&
                (range === undefined || semver.satisfies(tag, range)),
              tag,
            )
        },
      ),
    )
  })
})

describe('which repositories a job means', () => {
  it('by name without the catalog, by patterns with it, and none that is excluded', () => {
    const selection = repositorySelection(
      mirrorJob({ repositories: ['acme/web', 'acme/secret', 'lib/*'], excludeRepositories: ['**/secret'] }),
    )
    assert.deepEqual(selection.literals, ['acme/web'])
    assert.equal(selection.isOpen, true)
    assert.deepEqual(['acme/web', 'acme/secret', 'lib/a', 'lib/a/b', 'lib/secret'].map(selection.means), [
      true,
      false,
      true,
      false,
      false,
    ])
    assert.equal(repositorySelection(mirrorJob()).isOpen, false)
  })

  it('names at the target lead back to those at the source', () => {
    fc.assert(
      fc.property(name, prefix, prefix, (source, stripPrefix, before) => {
        const naming = { stripPrefix, prefix: before }
        assert.ok(sourceNamesOf(naming, targetNameOf(naming, source)).includes(source))
        for (const one of sourceNamesOf(naming, source)) assert.equal(targetNameOf(naming, one), source)
      }),
    )
  })

  it('no two become one, and each is a pair or a problem', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 20 }), prefix, prefix, (sources, stripPrefix, before) => {
        const { pairs, problems } = pairRepositories({ stripPrefix, prefix: before }, sources)
        assert.equal(new Set(pairs.map(({ target }) => target)).size, pairs.length)
        assert.deepEqual([...pairs, ...problems].map(({ source }) => source).sort(), sources.toSorted())
        for (const { source, target } of problems)
          assert.ok(
            sources.some(
              other => other !== source && targetNameOf({ stripPrefix, prefix: before }, other) === target,
            ),
          )
      }),
    )
  })
})
