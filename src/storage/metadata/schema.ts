import type { Generated } from 'kysely'
import type { UploadId } from '../blobs/blob-store.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'
import type { ReferenceRole } from '../manifest.ts'
import type { ManifestMediaType } from '../media-types.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { EventAction, EventKind } from './event-records.ts'
import type { SettingName } from './setting-records.ts'

/**
 * The tables as Kysely sees them; `migrations/` makes them. Only this folder writes to them, and only through these
 * types, so what is read back is as valid as what was written. Times are milliseconds since 1970.
 */
export interface Schema {
  repositories: RepositoryRow
  manifests: ManifestRow
  manifest_references: ManifestReferenceRow
  tags: TagRow
  blobs: BlobRow
  blob_links: BlobLinkRow
  uploads: UploadRow
  garbage: GarbageRow
  settings: SettingRow
  events: EventRow
  event_sequence: EventSequenceRow
  event_endpoints: EventEndpointRow
}

export interface RepositoryRow {
  name: RepositoryName
  created_at: number
}

export interface ManifestRow {
  repository: RepositoryName
  digest: Digest
  media_type: ManifestMediaType
  size: number
  /** As they were pushed. */
  bytes: Uint8Array
  /** What referrers are found by and described with: distribution-spec, "Listing Referrers". */
  subject: Digest | null
  artifact_type: string | null
  /** JSON. */
  annotations: string | null
  created_at: number
}

/** One edge; what it points to need not exist. */
export interface ManifestReferenceRow {
  repository: RepositoryName
  manifest: Digest
  /** In the manifest's order, from 0. */
  position: number
  role: ReferenceRole
  digest: Digest
  media_type: string
  size: number
}

export interface TagRow {
  repository: RepositoryName
  name: Tag
  digest: Digest
  /** What it named until it was set last; null when it was new then. */
  previous: Digest | null
  updated_at: number
}

export interface BlobRow {
  digest: Digest
  object_key: ObjectKey
  size: number
  state: 'stored'
  created_at: number
}

export interface BlobLinkRow {
  repository: RepositoryName
  digest: Digest
  created_at: number
}

export interface UploadRow {
  id: UploadId
  repository: RepositoryName
  algorithm: DigestAlgorithm
  object_key: ObjectKey
  part_size: number
  upload_offset: number
  multipart_token: string | null
  /** JSON. */
  parts: string
  tail_key: ObjectKey | null
  tail_size: number | null
  tail_digest: Digest | null
  next_tail_key: ObjectKey | null
  hash_state: string | null
  digest_at_offset: Digest | null
  committed: Digest | null
  holder: string | null
  lease_until: number | null
  expires_at: number
}

export interface SettingRow {
  name: SettingName
  value: string
}

export interface GarbageRow {
  object_key: ObjectKey
  since: number
}

export interface EventRow {
  /** In the order in which the rows were written, which is not that in which their transactions were committed. */
  serial: Generated<number>
  /** Null until it is given one: event-sequence.ts. */
  position: number | null
  id: string
  at: number
  kind: EventKind
  action: EventAction
  repository: RepositoryName
  digest: Digest
  tag: Tag | null
  media_type: string | null
  size: number | null
  previous: Digest | null
  from_repository: RepositoryName | null
  /** JSON. */
  requester: string | null
}

/** There is one. */
export interface EventSequenceRow {
  /** The last position that was given. */
  newest: number
}

export interface EventEndpointRow {
  name: string
  position: number
  failures: number
  next_attempt_at: number | null
  holder: string | null
  lease_until: number | null
}
