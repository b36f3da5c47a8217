import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createHiddenPositions, isHidden } from '../../src/registry/hidden-positions.ts'

const secret = Buffer.from('a secret that replicas share')
const name = fc.stringMatching(/^[a-z0-9]{1,20}(\/[a-z0-9]{1,20}){0,9}$/)

describe('Hidden positions', () => {
  it('come back as they were, on any replica', () => {
    fc.assert(
      fc.property(name, name => {
        const hidden = createHiddenPositions(secret).hide(name)
        assert.ok(isHidden(hidden) && !isHidden(name))
        assert.equal(createHiddenPositions(secret).reveal(hidden), name)
        assert.equal(createHiddenPositions().reveal(hidden), undefined)
      }),
    )
  })

  it('tell neither the name nor its length, nor that it is the same again', () => {
    const positions = createHiddenPositions(secret)
    const [short, long] = [positions.hide('a'), positions.hide('a'.repeat(255))]
    assert.equal(short.length, long.length)
    assert.notEqual(short, positions.hide('a'))
  })

  it('take any text without failing', () => {
    const positions = createHiddenPositions(secret)
    const hidden = positions.hide('acme/app')
    fc.assert(
      fc.property(fc.nat({ max: hidden.length - 1 }), fc.constantFrom('A', 'B', '-'), (index, letter) => {
        const changed = hidden.slice(0, index) + letter + hidden.slice(index + 1)
        const revealed = positions.reveal(changed)
        assert.ok(revealed === undefined || changed === hidden || revealed === 'acme/app')
      }),
    )
    fc.assert(fc.property(fc.string(), text => positions.reveal(`~${text}`) === undefined))
  })
})
