import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { JoinedRuns } from '../../src/registry/joined-runs.ts'

const noFailure = (): void => assert.fail('nobody has to be told')

describe('Work that requests wait for together', () => {
  it('goes on when they leave, and tells whoever comes back how it has ended, once', async () => {
    await using runs = new JoinedRuns<number>({ onFailure: noFailure, waitMs: 5 })
    const gate = Promise.withResolvers<number>()
    let begun = 0
    const work = (): Promise<number> => {
      begun += 1
      return gate.promise
    }
    assert.deepEqual(await Promise.all([runs.join('a', work), runs.join('a', work)]), [undefined, undefined])
    const leaving = new AbortController()
    const left = runs.join('a', work, { signal: leaving.signal })
    leaving.abort()
    assert.equal(await left, undefined)
    gate.resolve(1)
    await gate.promise
    assert.equal(await runs.join('a', work), 1)
    assert.equal(begun, 1)
    assert.equal(await runs.join('a', work), 1)
    assert.equal(begun, 2, 'what was told is over')
  })

  it('tells all who wait, and is apart for each name', async () => {
    await using runs = new JoinedRuns<string>({ onFailure: noFailure })
    const names = ['a', 'b', 'a']
    const work = (name: string) => async () => {
      await new Promise(resolve => setImmediate(resolve))
      return name
    }
    assert.deepEqual(await Promise.all(names.map(name => runs.join(name, work(name)))), names)
  })

  it('fails for those who wait; when there are none somebody is told, and who comes back, too', async () => {
    const failures: unknown[] = []
    await using runs = new JoinedRuns<number>({ onFailure: error => failures.push(error), waitMs: 5 })
    const error = new Error('broken')
    await assert.rejects(
      runs.join('a', () => Promise.reject(error)),
      error,
    )
    assert.deepEqual(failures, [])
    const gate = Promise.withResolvers<number>()
    assert.equal(await runs.join('a', () => gate.promise), undefined)
    gate.reject(error)
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(failures, [error])
    await assert.rejects(
      runs.join('a', () => Promise.resolve(1)),
      error,
    )
    assert.equal(await runs.join('a', () => Promise.resolve(1)), 1)
  })

  it('is forgotten when nobody comes back', async () => {
    await using runs = new JoinedRuns<number>({ onFailure: noFailure, waitMs: 5, keepMs: 5 })
    const gate = Promise.withResolvers<number>()
    assert.equal(await runs.join('a', () => gate.promise), undefined)
    gate.resolve(1)
    let found = 1
    while (found === 1) {
      await new Promise(resolve => setTimeout(resolve, 20))
      found = (await runs.join('a', () => Promise.resolve(2))) ?? 1
    }
    assert.equal(found, 2)
  })

  it('ends with what it belongs to, which waits for it', async () => {
    const runs = new JoinedRuns<number>({ onFailure: noFailure, waitMs: 5 })
    let isEnded = false
    const work = ({ signal }: { signal?: AbortSignal | undefined }): Promise<number> =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          isEnded = true
          reject(new Error('stopped'))
        })
      })
    assert.equal(await runs.join('a', work), undefined)
    await runs[Symbol.asyncDispose]()
    assert.ok(isEnded)
  })
})
