import { DomainError } from '../../../errors.ts'
import type { TableShape } from './snapshot.ts'

/**
 * Whether a backup has exactly the tables and columns of a database that has had the same changes. The order of columns
 * does not matter.
 *
 * @throws DomainError `invalid`.
 */
export function checkShape(given: readonly TableShape[], wanted: readonly TableShape[]): void {
  const wantedTables = textOf(wanted)
  for (const [name, columns] of textOf(given)) {
    if (wantedTables.get(name) !== columns) throw misfit(name)
    wantedTables.delete(name)
  }
  for (const name of wantedTables.keys()) throw misfit(name)
}

function textOf(tables: readonly TableShape[]): Map<string, string> {
  return new Map(
    tables.map(({ name, columns }) => [
      name,
      columns
        .map(each => `${each.name} ${each.type}`)
        .sort()
        .join(),
    ]),
  )
}

function misfit(table: string): DomainError {
  return new DomainError(
    'invalid',
    `The backup does not fit its own version: its table ${table.slice(0, 64)} is another one.`,
    { resource: 'backup' },
  )
}
