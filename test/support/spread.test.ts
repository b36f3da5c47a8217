import assert from 'node:assert/strict'
import { it } from 'node:test'
import { spread } from './spread.ts'

it('spreads some evenly among the others, and loses none', () => {
  const order = (all: string, some: string): string => spread(all.split(''), new Set(some.split(''))).join('')
  assert.equal(order('abcXYdef', 'XY'), 'aXbcdYef')
  assert.equal(order('XYZab', 'XYZ'), 'XaYbZ')
  assert.equal(order('XYZ', 'XYZ'), 'XYZ')
  assert.equal(order('abc', 'X'), 'abc')
  assert.equal(order('', ''), '')
})
