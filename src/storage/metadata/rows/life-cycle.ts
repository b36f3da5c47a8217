import type { Generated } from 'kysely'
import type { TenantName } from '../../accounts/names.ts'
import type { Digest } from '../../digest.ts'
import type { ManifestMediaType } from '../../media-types.ts'
import type { ObjectKey } from '../../objects/keys.ts'
import type { RepositoryName, Tag } from '../../reference.ts'
import type { TagCause } from '../history-records.ts'
import type { BlobFault } from '../scrub-records.ts'
import type { Flag } from './flag.ts'

/** There is one. */
export interface CollectStateRow {
  paused_at: number | null
  paused_by: string | null
  /** How far what has no tag was brought into the queue: the last repository; null before the first. */
  untagged_after: RepositoryName | null
  untagged_done: Flag
  /** When the next look for what nobody has brought into the queue begins, or when this one began. */
  forgotten_at: number
  /** How far that is: which table, and the last row; null while there is none. */
  forgotten_among: 'links' | 'blobs' | null
  forgotten_repository: RepositoryName | null
  forgotten_digest: Digest | null
  ticked_at: number | null
  links: number
  blobs: number
  manifests: number
  repositories: number
  objects: number
  bytes: number
}

/** A manifest that was deleted and can be taken back. Not in `manifests`. */
export interface DeletedManifestRow {
  repository: RepositoryName
  digest: Digest
  media_type: ManifestMediaType
  size: number
  bytes: Uint8Array
  subject: Digest | null
  created_at: number
  deleted_at: number
  /** An account. */
  deleted_by: string | null
  goes_at: number
}

/**
 * What it names and the repository had when it was deleted, its subject left out: that must stay as long as it can be
 * taken back.
 */
export interface DeletedReferenceRow {
  repository: RepositoryName
  manifest: Digest
  digest: Digest
}

export interface TagHistoryRow {
  /** In the order of the changes of one tag. */
  serial: Generated<number>
  /** Need not be in `repositories`. */
  repository: RepositoryName
  tag: Tag
  cause: TagCause
  /** What it names since then; null: it was deleted. */
  digest: Digest | null
  /** What it named before; null: it was not there. */
  previous: Digest | null
  at: number
  account: string | null
}

export interface RetentionPolicyRow {
  /** In the order in which they were added. */
  serial: Generated<number>
  id: string
  tenant: TenantName
  /** JSON. */
  rules: string
  created_at: number
}

export interface TagExpiryRow {
  repository: RepositoryName
  tag: Tag
  /** It expires only while it names this, and was not set again since: `updated_at` of the tag. */
  digest: Digest
  tag_set_at: number
  /** Null: somebody wants that it never does, whatever a label says. */
  expires_at: number | null
  source: 'label' | 'request'
}

/** There is one. */
export interface RetentionStateRow {
  /** Of the run that is under way, or else of the last one. */
  began_at: number | null
  /** Null while one is under way. */
  ended_at: number | null
  /** The last repository that it has looked at. */
  place: RepositoryName | null
  /** Of that run. */
  repositories: number
  tags: number
  manifests: number
  skipped: number
  /** Position of the last event whose tag's labels were read. */
  labels_at: number
}

export interface BlobFaultRow {
  digest: Digest
  /** Of the object that is at fault. */
  object_key: ObjectKey
  kind: BlobFault['kind']
  detail: string
  found_at: number
}

/** An object that no row names. */
export interface StrayObjectRow {
  object_key: ObjectKey
  size: number
  /** Of its bytes, once they were read. */
  digest: Digest | null
  found_at: number
}

/** There is one. */
export interface ScrubStateRow {
  began_at: number | null
  ended_at: number | null
  /** What the pass that is under way looks at; null between passes. */
  phase: 'blobs' | 'objects' | null
  /** The last digest or object key that it has looked at. */
  cursor: string | null
  /** Counts the passes, so that who is at work notices that another one has begun. */
  pass: number
  /** Of that pass: how many blobs there were when it began, how many it has looked at, and newly found missing. */
  pass_known: number
  pass_blobs: number
  pass_missing: number
  /** Whether it goes on however many blobs are missing. */
  takes_all: Flag
  /** When it stopped, because too many are. */
  stopped_at: number | null
  /** Since there was a database. */
  blobs: number
  bytes: number
  corrupt: number
  missing: number
  strays: number
  healed: number
}
