import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { forgetUpstreamTagsHourly } from '../../../src/cli/registry/upkeep.ts'
import { loadConfig } from '../../../src/config.ts'
import { testLog } from '../../support/test-logs.ts'

const daySeconds = 24 * 60 * 60

describe('The upkeep of what is remembered of upstreams', () => {
  const now = Date.UTC(2026, 0, 31)

  /** Before when it forgets. */
  async function forgotten(upstreams: readonly object[]): Promise<Date[]> {
    const { config } = loadConfig({ environment: {}, flags: { upstreams } })
    const asked: Date[] = []
    const done = Promise.withResolvers<void>()
    const forgetUpstreamTags = (before: Date, limit: number): Promise<number> => {
      asked.push(before)
      if (asked.length === 3) done.resolve()
      return Promise.resolve(asked.length === 3 ? 0 : limit)
    }
    await using _upkeep = forgetUpstreamTagsHourly(config, { forgetUpstreamTags }, testLog(), () => now)
    await done.promise
    return asked
  }

  it('forgets all that is a week old, in bounded batches, also where there is no upstream any more', async () => {
    const weekAgo = new Date(now - 7 * daySeconds * 1000)
    assert.deepEqual(await forgotten([]), [weekAgo, weekAgo, weekAgo])
  })

  it('and nothing that is still believed', async () => {
    const [before] = await forgotten([
      { name: 'a', registry: 'a.example', tagFreshSeconds: 30 * daySeconds },
      { name: 'b', registry: 'b.example' },
    ])
    assert.deepEqual(before, new Date(now - 30 * daySeconds * 1000))
  })
})
