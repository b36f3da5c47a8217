import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import { isDomainError } from '../../../../src/errors.ts'
import { EngineThread } from '../../../../src/importer/layer/engine/engine-thread.ts'
import { type Staffed, ThreadPool } from '../../../../src/importer/layer/engine/thread-pool.ts'
import type { UnrulyJob } from './unruly-worker.ts'

const start = (): Staffed => ({
  thread: new EngineThread({
    file: new URL('./unruly-worker.ts', import.meta.url),
    heapBytes: 32 * 1024 * 1024,
  }),
})

/** @returns what the thread answers. @throws what it died of. */
async function ask({ thread }: Staffed, act: UnrulyJob['act']): Promise<unknown> {
  const { port1, port2 } = new MessageChannel()
  const death = Promise.withResolvers<never>()
  try {
    thread.begin({ port: port2, act }, [port2], death.reject)
    const [answer] = await Promise.race([once(port1, 'message'), death.promise])
    return answer
  } finally {
    thread.finish()
    port1.close()
  }
}

describe('ThreadPool of EngineThreads', { timeout: 60_000 }, () => {
  it('gives a thread that came back to the next one, and another to who comes meanwhile', async () => {
    await using pool = new ThreadPool(start, 60_000)
    const first = pool.take()
    const second = pool.take()
    const [one, two] = [await ask(first, 'answer'), await ask(second, 'answer')]
    assert.notEqual(one, two)
    pool.giveBack(first)
    assert.equal(await ask(pool.take(), 'answer'), one)
    assert.equal(pool.size, 2)
  })

  const deaths: readonly (readonly [UnrulyJob['act'], RegExp, isDomain: boolean])[] = [
    ['exit', /ended with code 3/, false],
    ['throw', /ended with code 1/, false],
    ['hoard', /^The layer cannot be applied: .*32 MiB of memory/, true],
  ]
  for (const [act, message, isDomain] of deaths)
    it(`replaces a thread that dies by "${act}", and says why its job failed`, async () => {
      await using pool = new ThreadPool(start, 60_000)
      const member = pool.take()
      const error: unknown = await ask(member, act).catch((reason: unknown) => reason)
      assert.ok(error instanceof Error)
      assert.match(error.message, message)
      assert.equal(isDomainError(error, 'too_large'), isDomain)
      if (act === 'throw') assert.match(String(error.cause), /something unforeseen/)
      assert.equal(member.thread.isAlive, false)
      pool.giveBack(member)
      assert.equal(pool.size, 0)
      assert.equal(typeof (await ask(pool.take(), 'answer')), 'number')
    })

  it('does not give out one that has died while it had nothing to do', async () => {
    await using pool = new ThreadPool(start, 60_000)
    const member = pool.take()
    await ask(member, 'answer')
    pool.giveBack(member)
    await member.thread.end()
    assert.notEqual(pool.take(), member)
    assert.equal(pool.size, 1)
  })

  it('ends those that have nothing to do', async () => {
    await using pool = new ThreadPool(start, 1)
    const member = pool.take()
    pool.giveBack(member)
    while (member.thread.isAlive) await sleep(5)
    assert.equal(pool.size, 0)
  })

  it('ends those that are at work or block when it is closed', async () => {
    const pool = new ThreadPool(start, 60_000)
    const dying = assert.rejects(ask(pool.take(), 'block'), /ended with code/)
    await sleep(100)
    await pool[Symbol.asyncDispose]()
    await dying
    assert.equal(pool.size, 0)
  })
})
