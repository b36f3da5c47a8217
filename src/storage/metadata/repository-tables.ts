import type { Schema } from './schema.ts'

/**
 * What becomes of each column that names a repository. A test goes through both databases for columns that are missing
 * here. When a repository is renamed, rows that
 *
 * - `follow` name it by its new name from then on;
 * - are `copied` do so too, but others refer to them, so that they are there under both names for a moment;
 * - are `forgotten` were only there to spare somebody work.
 *
 * All others stay: they say what happened under which name, or are no names of repositories that there must be.
 */
export type Treatment = 'follow' | 'copied' | 'forgotten' | 'stays'

export type RepositoryColumn = {
  readonly [Table in keyof Schema]: readonly [
    table: Table,
    column: keyof Schema[Table] & string,
    treatment: Treatment,
  ]
}[keyof Schema]

/** In an order in which what others refer to is there before them. */
export const repositoryColumns: readonly RepositoryColumn[] = [
  ['repositories', 'name', 'copied'],
  ['manifests', 'repository', 'copied'],
  ['deleted_manifests', 'repository', 'copied'],
  ['manifest_references', 'repository', 'follow'],
  ['deleted_references', 'repository', 'follow'],
  ['tags', 'repository', 'follow'],
  ['pulled_manifests', 'repository', 'follow'],
  ['tag_history', 'repository', 'follow'],
  ['tag_expiries', 'repository', 'follow'],
  // With what it counts for its tenant.
  ['blob_links', 'repository', 'follow'],
  // With its tenant.
  ['repository_visibility', 'repository', 'follow'],
  // Its session ends.
  ['transfers', 'repository', 'forgotten'],
  // Of upstreams' copies, which are never renamed; of what was one once, at most.
  ['upstream_tags', 'repository', 'forgotten'],
  // Of this registry as a target; others' are called by their host.
  ['mirror_tags', 'target', 'forgotten'],
  // Ended: whoever goes on with one would push to the old name.
  ['uploads', 'repository', 'stays'],
  ['events', 'repository', 'stays'],
  ['events', 'from_repository', 'stays'],
  ['audit', 'target', 'stays'],
  ['mirror_results', 'target', 'stays'],
  // Patterns for names.
  ['tag_rules', 'repositories', 'stays'],
  // How far somebody is who goes through all names in their order.
  ['collect_state', 'untagged_after', 'stays'],
  ['collect_state', 'forgotten_repository', 'stays'],
  // Numbers of repositories.
  ['tenants', 'quota_repositories', 'stays'],
  ['tenant_usage', 'repositories', 'stays'],
  ['usage_changes', 'repositories', 'stays'],
  ['collect_state', 'repositories', 'stays'],
  ['retention_state', 'repositories', 'stays'],
]
