import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as z from 'zod'
import { mirrorJobSchema } from '../src/mirror-job.ts'

const least = { name: 'nightly', source: { registry: 'quay.io' }, target: {}, repositories: ['acme/web'] }

function why(given: Record<string, unknown>): string {
  const { error } = mirrorJobSchema.safeParse({ ...least, ...given })
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ') ?? 'valid'
}

describe('a mirror job as it is written', () => {
  it('needs little, and all else has a default', () => {
    const job = mirrorJobSchema.parse(least)
    assert.deepEqual(job.tags, { names: [], include: [], exclude: [], immutable: [] })
    assert.equal(job.overwrite, 'replace')
    assert.equal(job.prune.mode, 'off')
    assert.equal(job.referrers.include, true)
    assert.equal(job.limits.concurrency, 3)
    assert.equal(job.schedule, undefined)
    assert.deepEqual(mirrorJobSchema.parse(JSON.parse(JSON.stringify(job))), job)
  })

  it('is refused for what could never work', () => {
    for (const [given, field] of [
      [{ name: 'Nightly' }, 'name'],
      [{ repositories: [] }, 'repositories'],
      [{ repositories: ['Acme/web'] }, 'repositories.0'],
      [{ repositories: ['acme/web:v1'] }, 'repositories.0'],
      [{ tags: { names: ['a b'] } }, 'tags.names.0'],
      [{ tags: { names: [`sha256:${'a'.repeat(64)}`] } }, 'tags.names.0'],
      [{ tags: { include: ['('] } }, 'tags.include.0'],
      [{ tags: { include: ['a)(b'] } }, 'tags.include.0'],
      [{ tags: { semver: 'newest' } }, 'tags.semver'],
      [{ tags: { newest: 0 } }, 'tags.newest'],
      [{ platforms: ['linux'] }, 'platforms.0'],
      [{ platforms: ['linux/arm64/v8/x'] }, 'platforms.0'],
      [{ platformMode: 'single' }, 'platformMode'],
      [{ platformMode: 'single', platforms: ['linux/arm64', 'linux/amd64'] }, 'platformMode'],
      [{ schedule: { cron: 'often' } }, 'schedule.cron'],
      [{ schedule: { cron: '0 3 * * *', timezone: 'Mars/Base' } }, 'schedule.timezone'],
      [{ schedule: { cron: '0 3 * * *', window: '25:00-26:00' } }, 'schedule.window'],
      [{ prune: { mode: 'delete', maxPercent: 101 } }, 'prune.maxPercent'],
      [{ limits: { concurrency: 0 } }, 'limits.concurrency'],
      [{ limits: { pullsleft: 3 } }, 'limits'],
    ] as const)
      assert.ok(why(given).startsWith(`${field}: `), `${JSON.stringify(given)}: ${why(given)}`)
  })

  it('takes what people write', () => {
    for (const given of [
      { repositories: ['library/*', '**', 'acme/web-*'] },
      { tags: { include: ['v\\d+[\\w.-]*', '[0-9.-]+'], semver: '>=1.2 <3 || ~4.1' } },
      { platforms: ['linux/amd64', 'linux/arm/v7'] },
      { platforms: ['linux/arm64'], platformMode: 'single' },
      { schedule: { cron: '*/15 * * * *', timezone: 'Europe/Berlin', window: '22:00-06:00' } },
    ])
      assert.equal(why(given), 'valid', JSON.stringify(given))
  })

  it('has a JSON Schema', () => {
    assert.equal(z.toJSONSchema(mirrorJobSchema, { io: 'input' }).type, 'object')
  })
})
