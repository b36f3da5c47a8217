import pg from 'pg'
import { DomainError, errnoOf } from '../../errors.ts'

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
    // Of those that sslrootcert, sslcert and sslkey name.
    const file = errnoOf(cause) === undefined ? undefined : pathOf(cause)
    if (file !== undefined)
      throw new DomainError(
        'invalid',
        `The file ${file} that the URL of the database names cannot be read (${errnoOf(cause)}); correct database.url or the permissions.`,
        { resource: 'config', name: 'database.url' },
        { cause },
      )
    throw new DomainError(
      'invalid',
      'The URL of the database cannot be used; write postgres://USER:PASSWORD@HOST:PORT/DATABASE.',
      { resource: 'config', name: 'database.url' },
      { cause },
    )
  }
}

function pathOf(error: unknown): string | undefined {
  return error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined
}
