import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { abortOnSignals } from '../../src/cli/signals.ts'

const names = ['SIGINT', 'SIGTERM'] as const

describe('A command that is asked to stop', () => {
  for (const name of names)
    it(`cleans up after ${name}, and leaves every later signal to the system`, () => {
      const before = names.map(one => process.listenerCount(one))
      const { signal } = abortOnSignals()
      assert.equal(signal.aborted, false)
      process.emit(name, name)
      assert.match(String(signal.reason), new RegExp(`received ${name}`))
      assert.deepEqual(
        names.map(one => process.listenerCount(one)),
        before,
      )
    })
})
