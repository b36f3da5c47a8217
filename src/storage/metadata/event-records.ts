import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Requester } from '../requester.ts'
import type { RunFacts } from './run-events.ts'

export type ContentKind = 'manifest' | 'blob' | 'tag'

export type ContentAction = 'push' | 'pull' | 'mount' | 'delete' | 'tag'

/** What has happened to the content. */
export interface ContentFacts {
  /** What it happened to. Of a tag there are `tag`, when it was set, and `delete`. */
  readonly kind: ContentKind
  readonly action: ContentAction
  readonly repository: RepositoryName
  /** Of a tag that was deleted, the one that it named last. */
  readonly digest: Digest
  /** Of a manifest that was pulled or pushed, one by which it was asked for or stored, if there was any. */
  readonly tag?: Tag | undefined
  /** Of manifests, and of those that tags name. */
  readonly mediaType?: string | undefined
  /** Bytes. */
  readonly size?: number | undefined
  /** What the tag named before. */
  readonly previous?: Digest | undefined
  /** Where a blob was mounted from, if the client has said so. */
  readonly from?: RepositoryName | undefined
  readonly by?: Requester | undefined
}

/** What has happened; of the content, or of what Varve does by itself. */
export type EventFacts = ContentFacts | RunFacts

export type EventKind = EventFacts['kind']

export type EventAction = EventFacts['action']

interface Timed {
  readonly at: Date
}

interface Numbered {
  /**
   * 1, 2, 3 …, without gaps. An event of something that began when another was done has the greater position; so
   * events of one repository's manifests and tags are in the order of the changes, and whoever pushes, waits for the
   * answer and pushes again is told of in that order.
   */
  readonly position: number
  /** A UUID. Unlike the position it is never given again, not even when a backup of the database is restored. */
  readonly id: string
}

export type NewContentEvent = ContentFacts & Timed
export type NewEvent = EventFacts & Timed
export type ContentEvent = NewContentEvent & Numbered
export type RunEvent = RunFacts & Timed & Numbered
export type RegistryEvent = ContentEvent | RunEvent

export function isContentEvent(event: RegistryEvent): event is ContentEvent {
  return event.kind !== 'mirror' && event.kind !== 'upstream'
}

/**
 * CONTRACT. The registry's events. Those of changes are written by the methods that make them, in the same
 * transaction: what was acknowledged has its events, and what was not done has none.
 */
export interface EventRecords {
  /** Writes events of what changes nothing. */
  addEvents(events: readonly NewEvent[], options?: Abortable): Promise<void>
  /**
   * At most `limit` events after a position, in their order. When the first one is not the next, those in between
   * have been deleted.
   */
  listEvents(page: EventPage, options?: Abortable): Promise<RegistryEvent[]>
  eventBounds(options?: Abortable): Promise<EventBounds>
  /** Deletes the oldest events, at most `limit`, up to the first one that is not older than `before`. Answers how many. */
  deleteEvents(before: Date, limit: number, options?: Abortable): Promise<number>
}

/** CONTRACT. How far the receivers of events have been told. Replicas share them, and take turns. */
export interface EventEndpointRecords {
  /** Makes those exist that do not yet. A new one is told of what happens from now on. */
  registerEndpoints(names: readonly string[], options?: Abortable): Promise<void>
  /**
   * Makes `holder` the only one to tell it until then. A holder may extend its own lease.
   * @returns undefined while another one's lease runs, or the next attempt has to wait.
   */
  leaseEndpoint(name: string, lease: EndpointLease, options?: Abortable): Promise<EndpointRecord | undefined>
  /** @throws DomainError `conflict` when `holder` has lost its lease. */
  saveEndpoint(name: string, holder: string, progress: EndpointProgress, options?: Abortable): Promise<void>
  /** By name. Those that are no longer configured, too. */
  listEndpoints(options?: Abortable): Promise<EndpointRecord[]>
}

export interface EventPage {
  readonly after: number
  readonly limit: number
}

export interface EventBounds {
  /** Position of the oldest event that is kept; when there is none, that of the next one. */
  readonly oldest: number
  /** Position of the newest event; 0 before the first. */
  readonly newest: number
}

export interface EndpointRecord {
  readonly name: string
  /** Of the last event that it has been told. */
  readonly position: number
  /** Attempts that failed, one after another. */
  readonly failures: number
}

export interface EndpointLease {
  readonly holder: string
  readonly until: Date
}

export interface EndpointProgress {
  readonly position: number
  readonly failures: number
  /** Nobody gets a lease before. */
  readonly nextAttemptAt?: Date | undefined
  /** Undefined gives the lease up. */
  readonly leaseUntil?: Date | undefined
}
