import type { ChainId } from '../../storage/chain-id.ts'
import type { DiffId, Digest } from '../../storage/digest.ts'
import type { WireError } from '../agent/wire.ts'
import type { ImportEvent, ImportResult, LayerPhase } from '../import-service.ts'

/** `queued` until its turn comes; the last three are ends. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled'

/** An import job as it is at one moment: plain data, as it goes over the wire (dates as ISO 8601). */
export interface JobSummary {
  readonly id: string
  /** In full, such as `localhost:5000/debian:12`. */
  readonly image: string
  /** `os/architecture[/variant]`. */
  readonly platform: string
  /** Name of the credentials that were asked for. */
  readonly credentials?: string | undefined
  /** Higher ones start first; 0 unless given. */
  readonly priority: number
  readonly state: JobState
  readonly createdAt: Date
  readonly startedAt?: Date | undefined
  readonly endedAt?: Date | undefined
  readonly manifestDigest?: Digest | undefined
  /** Base first; empty until the image is resolved, and again when many have ended since this one. */
  readonly layers: readonly LayerState[]
  /** When it is `done`. */
  readonly result?: ImportResult | undefined
  /** When it has `failed` or was `cancelled`. */
  readonly error?: WireError['error'] | undefined
}

/**
 * What has become of one layer. `present`: it was there, or another import has made it. `waiting`: another import is making
 * it. `queued`: nothing of it has come yet.
 */
export interface LayerState {
  readonly chainId: ChainId
  readonly diffId: DiffId
  readonly blob: Digest
  readonly phase: 'present' | 'queued' | 'waiting' | LayerPhase | 'done'
  /** Bytes of the blob, of `size`, that the phase is done with. */
  readonly blobBytes: number
  readonly size: number
  readonly entries: number
  /** Bytes of file content. */
  readonly bytes: number
  /** How fast `blobBytes` has grown in the last seconds; 0 when it has not. */
  readonly bytesPerSecond: number
}

/** What a follower of a job is told: events, then exactly one final record. */
export type ImportRecord = ImportEvent | FinalRecord

export type FinalRecord = DoneRecord | ErrorRecord

export type DoneRecord = { readonly type: 'done' } & ImportResult

/** A job that was cancelled ends with `conflict`, or with `unavailable` when the agent stops. */
export interface ErrorRecord extends WireError {
  readonly type: 'error'
}
