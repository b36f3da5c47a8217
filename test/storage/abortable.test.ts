import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { orAbort } from '../../src/storage/abortable.ts'

const isAborted = { name: 'AbortError' }

describe('orAbort', () => {
  it('answers what the promise does, and leaves no listener behind', async () => {
    const stop = new AbortController()
    assert.equal(await orAbort(Promise.resolve(1), stop.signal), 1)
    assert.equal(await orAbort(Promise.resolve(2), undefined), 2)
    await assert.rejects(orAbort(Promise.reject(new Error('it')), stop.signal), /^Error: it$/)
  })

  it('ends when the signal aborts, while the promise goes on', async () => {
    const stop = new AbortController()
    const slow = Promise.withResolvers<number>()
    const waiting = orAbort(slow.promise, stop.signal)
    stop.abort()
    await assert.rejects(waiting, isAborted)
    slow.resolve(3)
    assert.equal(await slow.promise, 3)
  })

  it('handles the failure of a promise that nobody waits for, when the signal was aborted before', async () => {
    const failing = Promise.reject(new Error('unhandled'))
    await assert.rejects(orAbort(failing, AbortSignal.abort()), isAborted)
    await assert.rejects(orAbort(Promise.resolve(1), AbortSignal.abort()), isAborted)
  })
})
