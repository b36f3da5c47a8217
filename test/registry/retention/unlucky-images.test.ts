import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/log.ts'
import { Dropper } from '../../../src/registry/retention/dropper.ts'
import { followLabels } from '../../../src/registry/retention/follow-labels.ts'
import type { BlobStore } from '../../../src/storage/blobs/blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { NewAuditEntry } from '../../../src/storage/metadata/audit-records.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { freshRepository } from '../../support/records.ts'
import { RetentionWorld } from '../../support/retention-world.ts'

const log = createLogger({ level: 'silent' })
const longMs = 1_000_000

describe('Labels of images', () => {
  it('are passed over where the disk has a bad block, so that others need not wait', async () => {
    await using world = await RetentionWorld.open()
    const repository = freshRepository()
    const labels = { 'varve.expires-after': '1h' }
    await world.push(repository, ['bad'], { labels: { ...labels, which: 'bad' } })
    await world.push(repository, ['good'], { labels })
    const { metadata } = world
    let reads = 0
    const blobs: Pick<BlobStore, 'repository'> = {
      repository: name => {
        const own = world.blobs.repository(name)
        const open: typeof own.open = async (digest, options) => {
          reads += 1
          if (reads > 1) return await own.open(digest, options)
          const cause = Object.assign(new Error('i/o error'), { code: 'EIO' })
          throw new DomainError('unavailable', 'The disk does not work.', { resource: 'object' }, { cause })
        }
        return new Proxy(own, {
          get: (target, key) => {
            if (key === 'open') return open
            const value: unknown = Reflect.get(target, key)
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
      },
    }
    const parts = { records: metadata, blobs, log, isExempt: () => false }
    assert.deepEqual(await followLabels(parts, performance.now() + longMs, {}), {
      labelled: 1,
      hasMore: false,
    })
    assert.equal(reads, 2)
  })
})

describe('What the retention has dropped', () => {
  it('is told to the audit log in the end when it could not be told amid the work', async () => {
    const told: NewAuditEntry[] = []
    let isAway = true
    const dropper = new Dropper(
      {
        records: {
          expireTag: () => Promise.resolve(true),
          dropUntagged: () => Promise.resolve(true),
          collectState: () => Promise.reject(new Error('not asked')),
        },
        audit: async entries => {
          if (isAway) throw new DomainError('unavailable', 'It is away.', { resource: 'database' })
          told.push(...entries)
        },
        now: () => 0,
      },
      performance.now() + longMs,
      {},
    )
    const expired = {
      repository: freshRepository(),
      tag: parseTag('v1'),
      digest: digestOf(Buffer.from('1')),
      setAt: new Date(0),
      expiresAt: new Date(0),
    }
    const drops = Array.from({ length: 50 }, () => expired)
    await assert.rejects(
      (async () => {
        for (const each of drops) await dropper.expire(each)
      })(),
      { code: 'unavailable' },
    )
    isAway = false
    await dropper.tell()
    assert.equal(told.length, drops.length)
    await dropper.tell()
    assert.equal(told.length, drops.length)
  })
})
