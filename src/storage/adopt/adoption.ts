import { type DomainError, isDomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import type { AdoptionRecords } from '../metadata/adoption-records.ts'
import type { BlobRecords } from '../metadata/blob-records.ts'
import type { ManifestRecords } from '../metadata/manifest-records.ts'
import type { BlobFaultRecords } from '../metadata/scrub-records.ts'
import type { RepositoryName } from '../reference.ts'
import type { AdoptEvent, AdoptProblemKind, AdoptTally } from './adopt-report.ts'
import type { BlobMover, MovedBlob } from './blob-mover.ts'
import type { LegacyStore } from './legacy-store.ts'

export interface AdoptionParts {
  readonly from: LegacyStore
  readonly mover: BlobMover
  readonly metadata: AdoptionRecords & BlobRecords & ManifestRecords & Pick<BlobFaultRecords, 'findFault'>
}

export interface AdoptOptions {
  readonly signal?: AbortSignal | undefined
  /** How many blobs or manifests are in hand at once. */
  readonly parallel: number
  readonly onEvent?: ((event: AdoptEvent) => void) | undefined
}

/** One run: what it works with, and what it has done so far. */
export class Adoption {
  readonly parts: AdoptionParts
  readonly options: AdoptOptions
  readonly tally: AdoptTally

  constructor(parts: AdoptionParts, options: AdoptOptions, tally: AdoptTally) {
    this.parts = parts
    this.options = options
    this.tally = tally
  }

  tell(event: AdoptEvent): void {
    this.options.onEvent?.(event)
  }

  moved(repository: RepositoryName, digest: Digest, { size, how }: MovedBlob): void {
    this.tally.blobs[how] += 1
    this.tally.bytes[how] += size
    this.tell({ type: 'blob', repository, digest, size, how })
  }

  problem(kind: AdoptProblemKind, repository: string | undefined, message: string): void {
    this.tally.problems[kind] += 1
    this.tell({ type: 'problem', kind, repository, message })
  }
}

/** Whether the failure is about what is read, and the rest may go on: a damaged registry is adopted as far as it goes. */
export function isDamage(error: unknown): error is DomainError {
  return isDomainError(
    error,
    ...(['not_found', 'invalid', 'denied', 'too_large', 'unsupported'] as const),
    ...(['digest_mismatch', 'size_mismatch'] as const),
  )
}
