import type { Schema } from './schema.ts'

/**
 * Nothing that is read of these is ever kept (see {@link KeptValues}): they are what requests write down all the time, and
 * say nothing about who may do what.
 */
const neverKept: ReadonlySet<string> = new Set<keyof Schema>([
  'audit',
  'blob_links',
  'blobs',
  'deleted_manifests',
  'deleted_references',
  'event_sequence',
  'events',
  'garbage',
  'leases',
  'manifest_references',
  'manifests',
  'pulled_manifests',
  'tag_expiries',
  'tag_history',
  'tags',
  'tenant_usage',
  'uploads',
  'usage_changes',
])

const change = /\b(?:insert|update|delete|replace|create|alter|drop)\b/i
const target = /^\s*(?:insert into|update|delete from)\s+"?(\w+)"?/i

/** Whether a statement may change something that values are kept of; in doubt it does. */
export function changesWhatIsKept(sql: string): boolean {
  if (!change.test(sql)) return false
  const table = target.exec(sql)?.[1]
  return table === undefined || !neverKept.has(table)
}
