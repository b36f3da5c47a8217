import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { DomainError } from '../../../../src/errors.ts'
import { atMostEvery } from '../../../../src/importer/layer/engine/at-most-every.ts'
import { blocksOf } from '../../../../src/importer/layer/engine/blocks.ts'
import { packError, unpackError } from '../../../../src/importer/layer/engine/sent-error.ts'

describe('errors between threads', () => {
  const sent = (error: unknown): Error => unpackError(structuredClone(packError(error)))

  it('a DomainError arrives as it was, its cause as text', () => {
    const details = { resource: 'layer', name: 'sha256:…', missing: ['a'] } as const
    const error = new DomainError('no_space', 'There is no space left.', details, {
      cause: new Error('ENOSPC: write'),
    })
    const arrived = sent(error)
    assert.ok(arrived instanceof DomainError)
    const { code, message, cause } = arrived
    assert.deepEqual([code, message, arrived.details], ['no_space', error.message, details])
    assert.equal(cause, 'Error: ENOSPC: write')
  })

  it('any other error arrives as an error with the stack that it had', () => {
    const bug = new TypeError('x is not a function')
    const arrived = sent(bug)
    assert.match(arrived.message, /TypeError: x is not a function/)
    assert.equal(arrived.stack, bug.stack)
    assert.equal(sent('a text').message, 'a text')
  })
})

describe('blocksOf', () => {
  it('puts chunks together that are there already, in memory of their own', async () => {
    const bytes = Buffer.from('abcdefghij')
    const source = new Readable({ read() {} })
    for (const byte of bytes) source.push(Buffer.of(byte))
    source.push(null)
    const blocks = await Array.fromAsync(blocksOf(source))
    assert.deepEqual(Buffer.concat(blocks), bytes)
    assert.ok(blocks.length < bytes.length)
    for (const block of blocks) assert.equal(block.buffer.byteLength, block.length)
  })

  it('does not wait for more than there is', async () => {
    const source = new Readable({ read() {} })
    source.push('a')
    const { value } = await blocksOf(source).next()
    assert.deepEqual(Buffer.from(value ?? []), Buffer.from('a'))
  })
})

describe('atMostEvery', () => {
  it('passes the first call on, and later ones when their time has come', () => {
    let now = 0
    const seen: number[] = []
    const call = atMostEvery(
      250,
      (value: number) => seen.push(value),
      () => now,
    )
    for (now = 0; now <= 600; now += 100) call(now)
    assert.deepEqual(seen, [0, 300, 600])
  })
})
