import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../../../src/errors.ts'
import {
  maxScopes,
  mergeScopes,
  parseScope,
  parseScopes,
  printScope,
  type ResourceScope,
} from '../../../../src/registry/auth/tokens/scope.ts'

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
const action = fc.oneof(fc.constantFrom('pull', 'push', 'delete', '*'), fc.stringMatching(/^[a-z]{1,6}$/))
const anyScope: fc.Arbitrary<ResourceScope> = fc
  .record(
    {
      type: word,
      class: word,
      name: fc.stringMatching(/^(?:[a-z0-9.]{1,8}(?::\d{1,4})?\/)?[a-z0-9]{1,8}(?:\/[a-z0-9]{1,8}){0,3}$/),
      actions: fc.array(action, { maxLength: 5 }),
    },
    { requiredKeys: ['type', 'name', 'actions'] },
  )
  // The order and the doublets of actions are not kept.
  .map(scope => mergeScopes([scope])[0] ?? scope)

describe('Scopes', () => {
  it('are read as they are printed', () => {
    fc.assert(
      fc.property(anyScope, scope => {
        assert.deepEqual(parseScope(printScope(scope)), scope)
      }),
    )
  })

  it('never fail on junk but for being too many, and what is read is in the grammar', () => {
    const junk = fc.array(fc.oneof(fc.string(), fc.stringMatching(/^[a-z:, /()*]{0,40}$/)), { maxLength: 8 })
    fc.assert(
      fc.property(junk, texts => {
        try {
          for (const scope of parseScopes(texts))
            assert.match(printScope(scope), /^[a-z0-9]+(\([a-z0-9]+\))?:[\x21-\x7e]+:[a-z,*]*$/)
        } catch (error) {
          assert.ok(isDomainError(error, 'invalid'))
        }
      }),
    )
  })

  it('name each resource once, whatever they are cut into', () => {
    fc.assert(
      fc.property(fc.array(anyScope, { maxLength: 10 }), scopes => {
        const one = parseScopes([scopes.map(printScope).join(' ')])
        assert.deepEqual(parseScopes(scopes.map(printScope)), one)
        assert.equal(new Set(one.map(({ type, name }) => `${type} ${name}`)).size, one.length)
        assert.deepEqual(mergeScopes(one), one)
      }),
    )
  })

  const cases: readonly [text: string, parsed: ResourceScope | undefined][] = [
    ['repository:a/b:pull', { type: 'repository', name: 'a/b', actions: ['pull'] }],
    ['repository:a/b:push,pull', { type: 'repository', name: 'a/b', actions: ['pull', 'push'] }],
    ['repository:a/b:pull,pull', { type: 'repository', name: 'a/b', actions: ['pull'] }],
    ['repository:a/b:*', { type: 'repository', name: 'a/b', actions: ['*'] }],
    ['repository:a/b:', { type: 'repository', name: 'a/b', actions: [] }],
    ['repository:a/b:PULL,pull', { type: 'repository', name: 'a/b', actions: ['pull'] }],
    [
      'repository:localhost:5000/a/b:pull',
      { type: 'repository', name: 'localhost:5000/a/b', actions: ['pull'] },
    ],
    ['repository(plugin):a/b:pull', { type: 'repository', class: 'plugin', name: 'a/b', actions: ['pull'] }],
    ['registry:catalog:*', { type: 'registry', name: 'catalog', actions: ['*'] }],
    ['repository::pull', undefined],
    ['repository:pull', undefined],
    ['repository', undefined],
    [':a:pull', undefined],
    ['Repository:a/b:pull', undefined],
    ['repository(:a/b:pull', undefined],
    ['repository():a/b:pull', undefined],
    ['repository:a\u0000b:pull', undefined],
    ['repository:a\nb:pull', undefined],
    [`repository:${'a'.repeat(2000)}:pull`, undefined],
  ]
  for (const [text, parsed] of cases)
    it(`${JSON.stringify(text.slice(0, 60))} is ${parsed === undefined ? 'none' : printScope(parsed)}`, () => {
      assert.deepEqual(parseScope(text), parsed)
    })

  it('keep the class that was given first, and merge the actions', () => {
    assert.deepEqual(
      parseScopes(['repository:a:push repository(plugin):a:pull', '', 'repository(image):a:delete']).map(
        printScope,
      ),
      ['repository(plugin):a:pull,push,delete'],
    )
  })

  it('are refused when they are too many, and their actions are not', () => {
    const scopes = (count: number) => Array.from({ length: count }, (_, index) => `repository:r${index}:pull`)
    assert.equal(parseScopes([scopes(maxScopes).join(' ')]).length, maxScopes)
    for (const texts of [scopes(maxScopes + 1), [scopes(maxScopes + 1).join(' ')]])
      assert.throws(
        () => parseScopes(texts),
        error => isDomainError(error, 'invalid'),
      )
    const many = parseScope(`repository:a:${'abcdefghijklmnopqrstuvwxyz'.split('').join(',')}`)
    assert.equal(many?.actions.length, 16)
  })
})
