import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { watchSuspects } from '../../../src/cli/registry/suspects.ts'
import { createLogger } from '../../../src/log.ts'
import type { StoredBlob } from '../../../src/storage/metadata/blob-records.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { commitText } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

describe('Blobs that readers find missing', () => {
  it('are not quarantined when there are too many: it is the wrong bucket', async () => {
    await using directory = await temporaryDirectory()
    await using metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
    const repository = parseRepositoryName('acme/app')
    const blobs: StoredBlob[] = []
    for (let index = 0; index < 22; index++) {
      const { digest } = await commitText(metadata, repository, `blob ${index}`, Date.now())
      blobs.push(await metadata.findBlob(repository, digest))
    }
    const outcomes: unknown[] = []
    const all = Promise.withResolvers<void>()
    const log = createLogger({ level: 'silent' })
    log.info = (facts: unknown) => {
      outcomes.push(Reflect.get(Object(facts), 'outcome'))
      if (outcomes.length === blobs.length) all.resolve()
    }
    const scrub = { bytesPerSecond: 0, maxMissingPercent: 1 }
    await using suspects = watchSuspects(
      {
        scrub: {
          ...scrub,
          everyDays: 30,
          intervalSeconds: 60,
          keepDamagedDays: 1,
          keepStraysDays: 1,
          window: undefined,
        },
      },
      { objects: new MemoryObjectStore(), metadata },
      log,
    )
    for (const blob of blobs) suspects.suspect(blob)
    await all.promise
    assert.deepEqual(outcomes, [...blobs.slice(2).map(() => 'missing'), 'refused', 'refused'])
    assert.deepEqual(await metadata.countFaults(), { corrupt: 0, missing: 20 })
  })
})
