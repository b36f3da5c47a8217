import type { Abortable } from '../abortable.ts'
import type { SnapshotContent, TableRows } from '../metadata/backup/snapshot.ts'
import type { BackupRecord } from './backup-record.ts'
import type { BackupStore } from './backup-store.ts'
import type { BackupSummary } from './backup-lines.ts'

/** Reads all of a backup, and gives its rows to `use`. */
type Read = (use: (rows: TableRows) => Promise<void>, options: Abortable) => Promise<BackupSummary>

/**
 * What is restored, of a backup that has been read to its end once: nothing is changed for one that is broken.
 *
 * @throws DomainError as {@link BackupStore.verify}.
 */
export async function contentOf(
  backups: Pick<BackupStore, 'read'>,
  record: BackupRecord,
  options: Abortable = {},
): Promise<SnapshotContent> {
  return (await openContent((use, given) => backups.read(record, use, given), options)).content
}

export async function openContent(
  read: Read,
  options: Abortable = {},
): Promise<{ readonly content: SnapshotContent; readonly summary: BackupSummary }> {
  const summary = await read(async () => {}, options)
  const content: SnapshotContent = {
    shape: summary.header.shape,
    rows: given => rowsOf(read, summary, given ?? {}),
  }
  return { content, summary }
}

/** Reading gives rows to a function; here they are asked for. */
async function* rowsOf(
  read: Read,
  expected: BackupSummary,
  { signal }: Abortable,
): AsyncGenerator<TableRows> {
  const ending = new AbortController()
  const own = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
  let offered = Promise.withResolvers<TableRows | undefined>()
  let taken = Promise.withResolvers<void>()
  const reading = read(
    async rows => {
      offered.resolve(rows)
      await taken.promise
    },
    { signal: own },
  ).then(
    summary => {
      // The same bytes were there when it was looked through.
      if (summary.digest === expected.digest) offered.resolve(undefined)
      else offered.reject(new Error('the backup was changed while it was read'))
    },
    (error: unknown) => offered.reject(error),
  )
  try {
    for (;;) {
      const rows = await offered.promise
      if (rows === undefined) return
      yield rows
      offered = Promise.withResolvers()
      const last = taken
      taken = Promise.withResolvers()
      last.resolve()
    }
  } finally {
    ending.abort(new DOMException('nobody reads on', 'AbortError'))
    taken.resolve()
    offered.promise.catch(() => {})
    await reading
  }
}
