import { sql, type Transaction } from 'kysely'
import type { ScrubStateRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'
import type { ScrubPlace, ScrubProgress, ScrubState } from './scrub-records.ts'

export function scrubStateOf(row: ScrubStateRow): ScrubState {
  const { blobs, bytes, corrupt, missing, strays, healed } = row
  return {
    beganAt: dateOf(row.began_at),
    endedAt: dateOf(row.ended_at),
    place: placeOf(row),
    pass: {
      number: row.pass,
      known: row.pass_known,
      blobs: row.pass_blobs,
      missing: row.pass_missing,
      takesAll: row.takes_all === 1,
      stoppedAt: dateOf(row.stopped_at),
    },
    totals: { blobs, bytes, corrupt, missing, strays, healed },
  }
}

/** As {@link ScrubProgressRecords.requestScrub}. */
export async function beginPass(db: Transaction<Schema>, takesAll: boolean, now: number): Promise<void> {
  const state = await db
    .selectFrom('scrub_state')
    .select(['phase', 'stopped_at'])
    .forUpdate()
    .executeTakeFirstOrThrow()
  const goesOn = state.phase !== null && (state.stopped_at === null || takesAll)
  if (goesOn) {
    if (takesAll) await db.updateTable('scrub_state').set({ takes_all: 1, stopped_at: null }).execute()
    return
  }
  await db
    .updateTable('scrub_state')
    .set({
      began_at: now,
      phase: 'blobs',
      cursor: null,
      pass: sql<number>`pass + 1`,
      pass_known: counted => counted.selectFrom('blobs').select(sql<number>`count(*)`.as('count')),
      pass_blobs: 0,
      pass_missing: 0,
      takes_all: takesAll ? 1 : 0,
      stopped_at: null,
    })
    .execute()
}

/** As {@link ScrubProgressRecords.saveScrub}. */
export async function savedScrub(
  db: Transaction<Schema>,
  { pass, place, isStopped = false, blobs, bytes, missing }: ScrubProgress,
  now: number,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('scrub_state')
    .set({
      phase: place?.phase ?? null,
      cursor: place?.after ?? null,
      pass_blobs: sql<number>`pass_blobs + ${blobs}`,
      pass_missing: sql<number>`pass_missing + ${missing}`,
      blobs: sql<number>`blobs + ${blobs}`,
      bytes: sql<number>`bytes + ${bytes}`,
      ...(isStopped ? { stopped_at: now } : {}),
      ...(place === null ? { ended_at: now } : {}),
    })
    .where('pass', '=', pass)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** What was written here is as it was read. */
function placeOf({ phase, cursor }: ScrubStateRow): ScrubPlace | null {
  if (phase === null) return null
  return { phase, after: cursor ?? undefined } as ScrubPlace
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms)
}
