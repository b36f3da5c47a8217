import pg from 'pg'
import { DomainError } from '../../errors.ts'

/**
 * `HOST:PORT/DATABASE`, as pg understands the URL. This is what messages call the database, for the URL may have a
 * password in it.
 *
 * @throws DomainError `invalid`.
 */
export function databaseNameOf(url: string): string {
  try {
    // Neither connects nor keeps anything open.
    const { host, port, database } = new pg.Client({ connectionString: url })
    return `${host}:${port}/${database ?? ''}`
  } catch (cause) {
    throw new DomainError(
      'invalid',
      'The URL of the database cannot be used; write postgres://USER:PASSWORD@HOST:PORT/DATABASE.',
      { resource: 'config', name: 'database.url' },
      { cause },
    )
  }
}
