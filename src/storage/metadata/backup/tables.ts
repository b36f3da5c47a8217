import type { Schema } from '../schema.ts'

/** Rows that a migration puts there; a database that has no others is empty. */
type Content = 'content' | 'seeded'

/**
 * Every table, in an order in which they can be filled: each after those that it refers to. A record, so that the
 * compiler misses a table that is forgotten.
 */
const tables: Readonly<Record<keyof Schema, Content>> = {
  tenants: 'content',
  repositories: 'content',
  manifests: 'content',
  manifest_references: 'content',
  tags: 'content',
  blobs: 'content',
  blob_links: 'content',
  uploads: 'content',
  transfers: 'content',
  garbage: 'content',
  settings: 'content',
  events: 'content',
  event_sequence: 'seeded',
  event_endpoints: 'content',
  tenant_usage: 'content',
  usage_changes: 'content',
  tag_rules: 'content',
  tenant_members: 'content',
  grants: 'content',
  repository_visibility: 'content',
  accounts: 'content',
  credentials: 'content',
  signing_keys: 'content',
  audit: 'content',
  audit_sweeps: 'content',
  leases: 'content',
  mirror_jobs: 'content',
  mirror_wishes: 'content',
  mirror_tags: 'content',
  mirror_runs: 'content',
  mirror_results: 'content',
  upstream_tags: 'content',
  pulled_manifests: 'content',
  collect_state: 'seeded',
  deleted_manifests: 'content',
  deleted_references: 'content',
  tag_history: 'content',
  retention_policies: 'content',
  tag_expiries: 'content',
  blob_faults: 'content',
  stray_objects: 'content',
  retention_state: 'seeded',
  scrub_state: 'seeded',
}

export const tableNames: readonly string[] = Object.keys(tables)

/** Those that have rows only when somebody has used the database. */
export const contentTableNames: readonly string[] = Object.entries(tables)
  .filter(([, content]) => content === 'content')
  .map(([name]) => name)

/** SQL's name of a table or column, of those that we have made ourselves, or that have been compared with them. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
