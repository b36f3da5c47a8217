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
      for (const name of yes) assert.equal(namePattern(pattern).test(name), true, name)
      for (const name of no) assert.equal(namePattern(pattern).test(name), false, name)
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

  it('is the same beyond 32 and 64 plain characters', () => {
    const letters = (...more: string[]) =>
      fc.string({ unit: fc.constantFrom('a', 'b', '/', ...more), maxLength: 6 })
    const size = fc.integer({ min: 20, max: 70 })
    fc.assert(
      fc.property(letters('*', '**'), size, letters('*', '**'), letters(), size, letters(), (...parts) => {
        const [before, many, after, front, count, back] = parts
        const [pattern, name] = [
          `${before}${'c'.repeat(many)}${after}`,
          `${front}${'c'.repeat(count)}${back}`,
        ]
        assert.equal(namePattern(pattern).test(name), fits(pattern, name))
      }),
    )
  })

  it('takes every name literally', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), text => {
        const name = text.replaceAll('*', '')
        assert.equal(namePattern(name).test(name), true)
      }),
    )
  })

  it('takes no longer for a pattern that leaves everything open', () => {
    const pattern = namePattern('**a'.repeat(80))
    assert.equal(pattern.test('a'.repeat(255)), true)
    assert.equal(pattern.test(`${'a'.repeat(254)}b`), false)
  })

  it('needs one of several, and none fits without any', () => {
    assert.equal(fitsAny(['x', 'team/*'], 'team/a'), true)
    assert.equal(fitsAny(['x'], 'team/a'), false)
    assert.equal(fitsAny([], 'team/a'), false)
  })
})
