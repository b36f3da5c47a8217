import { join } from 'node:path'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { metadataContract } from '../../contract/metadata.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

metadataContract('SQLite', async now => {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'varve.db')
  const metadata = await openSqliteMetadata(path, { now })
  const replica = await openSqliteMetadata(path, { now })
  return {
    metadata,
    replica,
    async close() {
      await metadata[Symbol.asyncDispose]()
      await replica[Symbol.asyncDispose]()
      await directory.remove()
    },
  }
})
