import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fitsAny, namePattern } from '../../src/storage/name-pattern.ts'

/** Written apart: a pattern fits when its first part does and the rest fits what is left. */
function fits(pattern: string, name: string): boolean {
  if (pattern === '') return name === ''
  const stars = /^\*+/.exec(pattern)?.[0] ?? ''
  if (stars === '') return name.startsWith(pattern.charAt(0)) && fits(pattern.slice(1), name.slice(1))
  const rest = pattern.slice(stars.length)
  for (let taken = 0; taken <= name.length; taken += 1) {
    if (stars === '*' && name.slice(0, taken).includes('/')) return false
    if (fits(rest, name.slice(taken))) return true
  }
  return false
}

describe('namePattern', () => {
  for (const [pattern, yes, no] of [
    ['**', ['a', 'a/b/c'], []],
    ['team/*', ['team/a', 'team/a-b'], ['team', 'team/a/b', 'xteam/a']],
    ['team/**', ['team/a', 'team/a/b'], ['team', 'steam/a']],
    ['*-base', ['a-base'], ['x/a-base', 'base']],
    ['a.b', ['a.b'], ['a-b', 'axb']],
  ] as const)
    it(`knows the pattern ${pattern}`, () => {
      for (const name of yes) assert.match(name, namePattern(pattern))
      for (const name of no) assert.doesNotMatch(name, namePattern(pattern))
    })

  it('is what its words say, for any pattern and name', () => {
    const letters = (...more: string[]) =>
      fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '-', ...more), maxLength: 8 })
    fc.assert(
      fc.property(letters('*', '**', '?', '[', '\\'), letters('?', '\\'), (pattern, name) => {
        assert.equal(namePattern(pattern).test(name), fits(pattern, name))
      }),
    )
  })

  it('takes every name literally', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), text => {
        const name = text.replaceAll('*', '').replaceAll(/[\n\r\u2028\u2029]/g, '')
        assert.match(name, namePattern(name))
      }),
    )
  })

  it('needs one of several, and none fits without any', () => {
    assert.equal(fitsAny(['x', 'team/*'], 'team/a'), true)
    assert.equal(fitsAny(['x'], 'team/a'), false)
    assert.equal(fitsAny([], 'team/a'), false)
  })
})
