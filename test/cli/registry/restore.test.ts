import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { restore } from '../../../src/cli/registry/restore.ts'
import { loadConfig } from '../../../src/config.ts'
import { BackupStore } from '../../../src/storage/backups/backup-store.ts'
import { openSqliteSnapshot } from '../../../src/storage/metadata/backup/sqlite-snapshot.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { failsWith, fillMetadata } from '../../support/backup-content.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const dayMs = 24 * 60 * 60 * 1000

describe('The latest backup, which is restored unless one is named,', () => {
  /** A directory with backups, in the order in which they were made, and what restores one of them. */
  async function place(made: readonly { readonly at: number; readonly instance: string }[]) {
    const directory = await temporaryDirectory()
    const from = join(directory.path, 'backups')
    const path = join(directory.path, 'source.db')
    await using metadata = await openSqliteMetadata(path)
    const objects = await FilesystemObjectStore.open(from)
    const ids: string[] = []
    for (const { at, instance } of made) {
      await fillMetadata(metadata, String(ids.length))
      await using snapshot = await openSqliteSnapshot(path)
      const backups = new BackupStore({ objects, version: '1', now: () => at })
      ids.push((await backups.write(snapshot, instance)).id)
    }
    const { config } = loadConfig({ environment: {}, flags: { data: join(directory.path, 'data') } })
    const choice = { from, replaces: true, revokesTokens: false, acceptsUnencrypted: false, reconciles: true }
    return {
      ids,
      restored: async (backup: string) => (await restore(config, { ...choice, backup })).backup,
      [Symbol.asyncDispose]: () => directory.remove(),
    }
  }

  it('is the newest whose time can be believed', async () => {
    const now = Date.now()
    await using made = await place([
      { at: now + 3650 * dayMs, instance: 'one' },
      { at: now - 2 * dayMs, instance: 'one' },
      { at: now - dayMs, instance: 'one' },
    ])
    assert.equal(await made.restored('latest'), made.ids[2])
  })

  it('is one of those of wrong clocks where there are no others', async () => {
    const now = Date.now()
    await using made = await place([
      { at: now + 3650 * dayMs, instance: 'one' },
      { at: now + 3651 * dayMs, instance: 'one' },
    ])
    assert.equal(await made.restored('latest'), made.ids[1])
  })

  it('has to be named where another registry, perhaps the empty one that began in its place, made some', async () => {
    const now = Date.now()
    await using made = await place([
      { at: now - 3 * dayMs, instance: 'one' },
      { at: now - 2 * dayMs, instance: 'one' },
      { at: now - dayMs, instance: 'begun anew' },
    ])
    const [, older = '', newest = ''] = made.ids
    const message = new RegExp(
      `are of 2 registries.*name the one that you mean: ${newest} \\(\\d+ rows\\), ${older} \\(\\d+ rows\\)`,
    )
    await failsWith('conflict', message, made.restored('latest'))
    assert.equal(await made.restored(older), older)
  })
})
