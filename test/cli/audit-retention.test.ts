import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { deleteOldAudit } from '../../src/cli/registry/audit.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { auditEntry } from '../support/audit-entries.ts'
import { keepLog } from '../support/log-lines.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe('Retention of the audit log', () => {
  it('deletes what is older than so many days, however much that is, and nothing else', async () => {
    await using directory = await temporaryDirectory()
    await using metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
    const dayMs = 24 * 60 * 60 * 1000
    const daysAgo = (days: number) => new Date(Date.now() - days * dayMs)
    await metadata.addAuditEntries([
      ...Array.from({ length: 2001 }, () => auditEntry({ at: daysAgo(31) })),
      auditEntry({ at: daysAgo(29), reference: 'kept' }),
    ])
    const kept = keepLog()
    await using _sweep = deleteOldAudit(metadata, 30, kept.log)
    const line = await kept.find(({ message }) => message === 'old entries of the audit log deleted')
    assert.equal(line['deleted'], 2001)
    assert.deepEqual(
      (await metadata.listAudit({ limit: 10 })).map(({ reference }) => reference),
      ['kept'],
    )
  })
})
