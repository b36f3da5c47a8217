import type { EventAction } from '../../storage/metadata/event-records.ts'

/** A webhook: who is told of events, of which, and how. */
export interface EventEndpoint {
  /** Names its progress in the database. */
  readonly name: string
  readonly url: string
  readonly format: 'distribution' | 'cloudevents'
  /** Patterns of repository names (`storage/name-pattern.ts`). */
  readonly repositories: readonly string[]
  /** As the format calls them. */
  readonly actions: readonly EventAction[]
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
