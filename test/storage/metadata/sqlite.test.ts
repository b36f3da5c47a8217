import { join } from 'node:path'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { metadataContract } from '../../contract/metadata.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

metadataContract('SQLite', async now => {
  const directory = await temporaryDirectory()
  const metadata = await openSqliteMetadata(join(directory.path, 'varve.db'), { now })
  return {
    metadata,
    async close() {
      await metadata[Symbol.asyncDispose]()
      await directory.remove()
    },
  }
})
