/** Values of one statement; SQLite takes 32,766 and PostgreSQL 65,535 (sqlite.org/limits.html, item 9). */
export const rowsPerStatement = 500

/** Parts of a list that one statement has room for. */
export function* batches<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += rowsPerStatement)
    yield items.slice(start, start + rowsPerStatement)
}
