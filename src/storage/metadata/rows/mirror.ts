import type { Generated } from 'kysely'
import type { UploadId } from '../../blobs/blob-store.ts'
import type { Digest } from '../../digest.ts'
import type { RepositoryName, Tag } from '../../reference.ts'
import type {
  MirrorJobName,
  MirrorOutcome,
  MirrorResult,
  MirrorRunId,
  MirrorTrigger,
  MirrorWish,
} from '../mirror-records.ts'

/** What only one may do at a time: lead a mirror job, fetch a blob of an upstream, let go of copies, collect garbage … */
export type LeaseKind = 'mirror-job' | 'fill' | 'evict' | 'collect' | 'retention' | 'scrub' | 'backup'

export interface LeaseRow {
  kind: LeaseKind
  name: string
  holder: string
  lease_until: number
}

export interface MirrorJobRow {
  name: MirrorJobName
  /** JSON. */
  definition: string
  updated_at: number
}

export interface MirrorWishRow {
  /** Need not be in `mirror_jobs`. */
  job: MirrorJobName
  trigger: MirrorWish['trigger']
  requester: string | null
  at: number
}

export interface MirrorTagRow {
  /** Need not be in `mirror_jobs`. */
  job: MirrorJobName
  target: string
  tag: Tag
  digest: Digest
  /** Null: what `digest` is. */
  stored: Digest | null
  referrers_at: number
  scope: string | null
}

export interface MirrorRunRow {
  /** In the order in which they began. */
  serial: Generated<number>
  id: MirrorRunId
  /** Need not be in `mirror_jobs`. */
  job: MirrorJobName
  trigger: MirrorTrigger
  requester: string | null
  started_at: number
  /** JSON. */
  totals: string
  outcome: MirrorOutcome | null
  reason: string | null
  ended_at: number | null
  resume_at: number | null
}

export interface MirrorResultRow {
  serial: Generated<number>
  run: MirrorRunId
  source: string
  target: string
  tag: string | null
  outcome: MirrorResult['outcome']
  digest: Digest | null
  reason: string | null
  bytes: number
  at: number
}

export interface TransferRow {
  repository: RepositoryName
  digest: Digest
  upload: UploadId
}

export interface UpstreamTagRow {
  /** Need not be in `repositories`. */
  repository: RepositoryName
  tag: Tag
  checked_at: number
  /** Null: upstream does not have it. */
  digest: Digest | null
}

export interface PulledManifestRow {
  repository: RepositoryName
  digest: Digest
  at: number
}
