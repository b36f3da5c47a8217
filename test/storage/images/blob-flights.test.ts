import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { BlobFlights } from '../../../src/storage/images/blob-flights.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'

const [one, other] = ['one', 'other'].map(text => digestOf(Buffer.from(text)))
assert.ok(one !== undefined && other !== undefined)

describe('BlobFlights', () => {
  it('lets one work at a time on a digest, and several on several', async () => {
    const flights = new BlobFlights()
    const events: string[] = []
    const gate = Promise.withResolvers<void>()
    const work = (name: string, until?: Promise<void>) => async () => {
      events.push(`${name} begins`)
      await until
      events.push(`${name} ends`)
      return name
    }
    const first = flights.alone(one, work('first', gate.promise))
    const second = flights.alone(one, work('second'))
    const third = flights.alone(one, work('third'))
    assert.equal(await flights.alone(other, work('other')), 'other')
    gate.resolve()
    assert.deepEqual(await Promise.all([first, second, third]), ['first', 'second', 'third'])
    assert.deepEqual(events, [
      'first begins',
      'other begins',
      'other ends',
      'first ends',
      'second begins',
      'second ends',
      'third begins',
      'third ends',
    ])
  })

  it('goes on after a failure, and lets those that wait give up', async () => {
    const flights = new BlobFlights()
    const gate = Promise.withResolvers<void>()
    const first = flights.alone(one, () => gate.promise)
    const end = new AbortController()
    const reason = new Error('enough')
    const second = flights.alone(one, () => Promise.reject(new Error('never called')), { signal: end.signal })
    end.abort(reason)
    await assert.rejects(second, error => error === reason)
    assert.equal(getEventListeners(end.signal, 'abort').length, 0)
    const third = flights.alone(one, async () => 'third')
    gate.reject(new Error('failed'))
    await assert.rejects(first, /failed/)
    assert.equal(await third, 'third')
  })

  it('remembers where a blob has arrived last', () => {
    const flights = new BlobFlights()
    assert.equal(flights.whereabouts(one), undefined)
    for (const name of ['a', 'b']) flights.arrived(one, parseRepositoryName(name))
    assert.equal(flights.whereabouts(one), 'b')
    assert.equal(flights.whereabouts(other), undefined)
  })
})
