import type { Generated } from 'kysely'
import type { Digest } from '../../digest.ts'
import type { RepositoryName, Tag } from '../../reference.ts'
import type { EventAction, EventKind } from '../event-records.ts'

export interface EventRow {
  /** In the order in which the rows were written, which is not that in which their transactions were committed. */
  serial: Generated<number>
  /** Null until it is given one: event-sequence.ts. */
  position: number | null
  id: string
  at: number
  kind: EventKind
  action: EventAction
  /** Null, as all below but the last, for what is not of the content. */
  repository: RepositoryName | null
  digest: Digest | null
  tag: Tag | null
  media_type: string | null
  size: number | null
  previous: Digest | null
  from_repository: RepositoryName | null
  /** JSON. */
  requester: string | null
  /** JSON, of what is not of the content. */
  detail: string | null
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
