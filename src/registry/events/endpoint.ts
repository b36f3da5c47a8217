import type { ContentAction, EventKind } from '../../storage/metadata/event-records.ts'

/** A webhook: who is told of events, of which, and how. */
export interface EventEndpoint {
  /** Names its progress in the database. */
  readonly name: string
  readonly url: string
  readonly format: 'distribution' | 'cloudevents'
  readonly kinds: readonly EventKind[]
  /** Of the content: patterns of repository names (`storage/name-pattern.ts`). */
  readonly repositories: readonly string[]
  /** Of the content: as the format calls them. */
  readonly actions: readonly ContentAction[]
  /** Events of one request, at most. */
  readonly batch: number
  /** For one request, until the receiver has answered. */
  readonly timeoutMs: number
  /** The longest pause between two attempts. */
  readonly maxBackoffMs: number
  /** `whsec_` and the key in base64; undefined for requests that are not signed. */
  readonly secret: string | undefined
  /** Of each request. */
  readonly headers: Readonly<Record<string, string>>
}
