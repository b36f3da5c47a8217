const undone: readonly (readonly [since: string, statements: readonly string[]])[] = [
  [
    '0007',
    [
      'drop table tag_rules',
      'drop table usage_changes',
      'drop table tenant_usage',
      'drop index uploads_by_repository',
    ],
  ],
  [
    '0008',
    [
      'drop table pulled_manifests',
      'drop table upstream_tags',
      'drop table transfers',
      'drop table mirror_results',
      'drop table mirror_runs',
      'drop table mirror_tags',
      'drop table mirror_wishes',
      'drop table mirror_jobs',
      'drop table leases',
    ],
  ],
  [
    '0009',
    [
      'drop table collect_state',
      'drop index garbage_by_digest',
      ...['blob_links', 'manifests', 'repositories'].flatMap(table => [
        `drop index ${table}_by_review`,
        `alter table ${table} drop column review_at`,
      ]),
      'alter table blob_links drop column kept_until',
      'alter table manifests drop column released_at',
      'alter table manifests drop column lost_subject',
      'alter table garbage drop column digest',
      'alter table garbage drop column size',
    ],
  ],
  [
    '0010',
    [
      'drop table retention_state',
      'drop index blobs_by_object',
      'drop table scrub_state',
      'drop table stray_objects',
      'drop table blob_faults',
      'drop table tag_expiries',
      'drop table retention_policies',
      'drop table tag_history',
      'drop table deleted_references',
      'drop table deleted_manifests',
      'drop index repositories_moving',
      'alter table repositories drop column moving',
      'alter table repositories drop column requester',
      'alter table repositories drop column deleted_at',
      'alter table manifests drop column dropped',
    ],
  ],
  ['0011', ['alter table events drop column detail', 'alter table mirror_tags drop column scope']],
]

/** SQL that takes a schema back to where it was before a migration, newest first; what it has stored since is gone. */
export function undoMigrations(since: string): string {
  const statements = undone
    .filter(([number]) => number >= since)
    .toReversed()
    .flatMap(([, each]) => each)
  return [...statements, `delete from kysely_migration where name >= '${since}'`].join(';')
}
