import { adoptedNameOf } from '../../objects/keys.ts'
import { type SettingName, unfinishedRestore } from '../setting-records.ts'
import type { Row, TableShape, Value } from './snapshot.ts'

export interface RestoreRules {
  /** Whether all tokens end: what was revoked after the backup would be good again otherwise. */
  readonly revokesTokens: boolean
  /** Milliseconds since 1970. */
  readonly now: number
}

type Fields = Readonly<Record<string, Value>>
type Rule = (fields: Fields, rules: RestoreRules) => Fields | undefined

const drop: Rule = () => undefined

/**
 * A registry that is restored calls itself something else than before: beside its original, it could not be the original's
 * upstream otherwise, nor the other way around. Nobody remembers these names.
 */
const hopId: SettingName = 'hop-id'

/**
 * Who has pulled what between the backup and its restoring is not known, so pulls are known from the restoring on: retention
 * would drop what is in daily use otherwise.
 */
const pullsNotedSince: SettingName = 'pulls-noted-since'

const droppedSettings: ReadonlySet<Value | undefined> = new Set([unfinishedRestore, hopId, pullsNotedSince])

/**
 * What becomes of rows that were about a moment that is over.
 *
 * Sessions of uploads are dropped, and their objects are not made garbage: an upload may have ended after the backup, and
 * its object be a blob's. Then it is a stray, which a reconciliation finds; parts that were never put together are swept
 * as those of any other upload that nobody knows. Wishes for runs of mirror jobs stay: a run too many does no harm.
 *
 * Objects without a name were found just now: one may have healed a blob since the backup, which is damaged again, and waits
 * for it.
 *
 * Garbage under names that others have given may have been adopted once more since the backup: it is nobody's any more, and
 * not ours to delete.
 *
 * Events move to positions that were never given before, all by the same step, and so do the endpoints that have been told
 * of them: who has read events that the backup does not have is told that the place is gone, and misses nothing. The step is
 * the time in milliseconds, so that a backup which is restored a second time does not give those of the first time again;
 * nobody has a thousand events a second for as long.
 */
const rulesOf: Readonly<Record<string, Rule>> = {
  leases: drop,
  uploads: drop,
  transfers: drop,
  audit_sweeps: drop,
  events: moved('position'),
  event_sequence: moved('newest'),
  event_endpoints: (fields, rules) => ({
    ...moved('position')(fields, rules),
    holder: null,
    lease_until: null,
  }),
  credentials: (fields, { revokesTokens, now }) =>
    revokesTokens && fields['revoked_at'] === null ? { ...fields, revoked_at: now } : fields,
  signing_keys: (fields, { revokesTokens }) => (revokesTokens ? undefined : fields),
  garbage: fields => (isAdopted(fields['object_key']) ? undefined : fields),
  stray_objects: (fields, { now }) => ({ ...fields, found_at: now }),
  settings: fields => (droppedSettings.has(fields['name']) ? undefined : fields),
}

/** The row as it is restored, in the same order of columns; undefined when it is not. */
export function restoredRow(table: TableShape, row: Row, rules: RestoreRules): Row | undefined {
  const rule = Object.hasOwn(rulesOf, table.name) ? rulesOf[table.name] : undefined
  if (rule === undefined) return row
  const fields = rule(
    Object.fromEntries(table.columns.map(({ name }, index) => [name, row[index] ?? null])),
    rules,
  )
  return fields && table.columns.map(({ name }) => fields[name] ?? null)
}

function moved(column: string): (fields: Fields, rules: RestoreRules) => Fields {
  return (fields, { now }) => {
    const position = fields[column]
    return typeof position === 'number' ? { ...fields, [column]: position + now } : fields
  }
}

function isAdopted(key: Value | undefined): boolean {
  return typeof key === 'string' && adoptedNameOf(key) !== undefined
}
