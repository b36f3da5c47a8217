import type { Generated } from 'kysely'
import type { AccountName } from '../../accounts/names.ts'
import type { UploadId } from '../../blobs/blob-store.ts'
import type { Digest, DigestAlgorithm } from '../../digest.ts'
import type { ReferenceRole } from '../../manifest.ts'
import type { ManifestMediaType } from '../../media-types.ts'
import type { ObjectKey } from '../../objects/keys.ts'
import type { RepositoryName, Tag } from '../../reference.ts'
import type { Flag } from './flag.ts'

export interface RepositoryRow {
  name: RepositoryName
  created_at: number
  /** When somebody looks whether it is empty; null while nothing was taken out of it. */
  review_at: Generated<number | null>
  /** Since when nobody sees it: what is in it can be taken back, or goes. Null: it is there. */
  deleted_at: Generated<number | null>
  /** What is being done with all that is in it, batch by batch, while nobody sees it; null: nothing. */
  moving: Generated<'bury' | 'restore' | null>
  /** Who asked for the last deletion, or for what is under way. JSON. */
  requester: Generated<string | null>
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
  /** When somebody looks whether anything names it: releases.ts. */
  review_at: number | null
  released_at: number
  /** Whether its subject was there and was deleted. */
  lost_subject: Flag
  /** Whether a rule dropped its last tag, so that it goes although what has no tag may stay. */
  dropped: Generated<Flag>
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
  /** `quarantined`: never served until somebody pushes its bytes again; `blob_faults` says why. */
  state: 'stored' | 'quarantined'
  created_at: number
}

export interface BlobLinkRow {
  repository: RepositoryName
  digest: Digest
  created_at: number
  /** When somebody looks whether a manifest names it: link-writer.ts. */
  review_at: number | null
  kept_until: number
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
  /** Who began it; null: nobody in particular, or an older Varve did not say. */
  account: AccountName | null
}

export interface GarbageRow {
  object_key: ObjectKey
  /** From when on the object may be deleted. */
  since: number
  /** Of what was a blob, and not a piece of an upload. */
  digest: Digest | null
  size: number | null
}
