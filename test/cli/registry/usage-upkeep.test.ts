import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { foldUsageRegularly, recountUsage } from '../../../src/cli/registry/usage-upkeep.ts'
import { createLogger } from '../../../src/log.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { commitText } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const log = createLogger({ level: 'silent' })

describe('The upkeep of what tenants use', () => {
  it('folds everything, in bounded batches', async () => {
    await using directory = await temporaryDirectory()
    await using metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
    let left = 2500
    const done = Promise.withResolvers<void>()
    await using _upkeep = foldUsageRegularly(
      {
        foldUsage: async limit => {
          const folded = Math.min(left, limit)
          left -= folded
          if (folded < limit) done.resolve()
          return folded
        },
      },
      log,
    )
    await done.promise
    assert.equal(left, 0)
    const tenant = parseTenantName('acme')
    await commitText(metadata, parseRepositoryName('acme/a'), 'text', 0)
    await using _real = foldUsageRegularly(metadata, log)
    assert.equal((await metadata.getUsage(tenant)).bytes, 4)
  })

  it('mends what is wrong, of tenants with a quota', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    await using metadata = await openSqliteMetadata(path)
    const names = Array.from({ length: 150 }, (_, index) => `t${String(index).padStart(3, '0')}`)
    for (const [index, name] of names.entries())
      await metadata.createTenant({ name: parseTenantName(name), quotaBytes: index % 2 === 0 ? 1000 : null })
    for (const name of ['t000', 't001', 't148', 't149'])
      await commitText(metadata, parseRepositoryName(`${name}/a`), 'text', 0)
    const database = new DatabaseSync(path)
    database.exec('update usage_changes set bytes = 99')
    database.close()
    await recountUsage(metadata, log, {})
    const bytes = await Promise.all(
      ['t000', 't001', 't148', 't149'].map(
        async name => (await metadata.getUsage(parseTenantName(name))).bytes,
      ),
    )
    assert.deepEqual(bytes, [4, 99, 4, 99])
  })
})
