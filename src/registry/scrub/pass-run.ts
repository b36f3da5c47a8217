import type { Abortable } from '../../storage/abortable.ts'
import type {
  ScrubPass,
  ScrubPlace,
  ScrubProgressRecords,
  ScrubState,
} from '../../storage/metadata/scrub-records.ts'
import type { CheckParts } from './check-blob.ts'
import { missingLimit } from './due.ts'
import { scrubBlobs } from './scrub-blobs.ts'
import type { ScrubTally } from './scrub-counts.ts'
import { type ScrubObjectsParts, scrubObjects } from './scrub-objects.ts'

export interface PassParts extends CheckParts, ScrubObjectsParts {
  readonly records: CheckParts['records'] &
    ScrubObjectsParts['records'] &
    Pick<ScrubProgressRecords, 'listBlobs' | 'saveScrub'>
  readonly objects: CheckParts['objects'] & ScrubObjectsParts['objects']
}

export interface PassEnd extends Abortable {
  /** By `performance.now()`. */
  readonly end: number
}

/** How much is done again, at most, after a crash: beside what one object takes. */
const saveEveryMs = 2_000

/** One tick's part of a pass. */
export class ScrubPassRun {
  readonly #parts: PassParts
  readonly #tally: ScrubTally
  readonly #maxMissingPercent: number
  #savedAt = performance.now()
  #unsaved = { blobs: 0, bytes: 0, missing: 0 }
  #bytesBefore = 0
  #missing = 0

  constructor(parts: PassParts, maxMissingPercent: number, tally: ScrubTally) {
    this.#parts = parts
    this.#maxMissingPercent = maxMissingPercent
    this.#tally = tally
  }

  /** `more` also when somebody has begun another pass meanwhile. */
  async run({ place, pass }: ScrubState, until: PassEnd): Promise<'done' | 'more' | 'stopped'> {
    if (place === null) return 'done'
    this.#missing = pass.missing
    if (place.phase === 'blobs') {
      const outcome = await this.#blobs(place.after, pass, until)
      if (outcome !== 'done') return outcome
    }
    return await this.#objects(place.phase === 'objects' ? place.after : undefined, pass, until)
  }

  async #blobs(
    after: Extract<ScrubPlace, { phase: 'blobs' }>['after'],
    pass: ScrubPass,
    { end, signal }: PassEnd,
  ): Promise<'done' | 'more' | 'stopped'> {
    const limit = missingLimit(pass, this.#maxMissingPercent)
    const mayBeMissing = (): boolean => this.#missing < limit
    let last = after
    for await (const { digest, outcome } of scrubBlobs(this.#parts, {
      after,
      mayBeMissing,
      signal,
    })) {
      this.#tally.checked(outcome)
      if (outcome === 'refused') {
        const isSaved = await this.#save(pass, { phase: 'blobs', after: last }, { isStopped: true, signal })
        return isSaved ? 'stopped' : 'more'
      }
      const isOver = performance.now() >= end
      // When it turns out that the store is away, those that it failed with are looked at once more.
      if (outcome !== 'unsettled' || isOver) last = digest
      this.#unsaved.blobs += 1
      if (outcome === 'missing') {
        this.#missing += 1
        this.#unsaved.missing += 1
      }
      if (!isOver && outcome !== 'missing' && !this.#isSaveDue) continue
      const isSaved = await this.#save(pass, { phase: 'blobs', after: last }, { signal })
      if (isOver || !isSaved) return 'more'
    }
    const isSaved = await this.#save(pass, { phase: 'objects', after: undefined }, { signal })
    return isSaved ? 'done' : 'more'
  }

  async #objects(
    after: Extract<ScrubPlace, { phase: 'objects' }>['after'],
    pass: ScrubPass,
    { end, signal }: PassEnd,
  ): Promise<'done' | 'more'> {
    for await (const { last } of scrubObjects(this.#parts, { after, signal })) {
      const isSaved = await this.#save(pass, { phase: 'objects', after: last }, { signal })
      if (performance.now() >= end || !isSaved) return 'more'
    }
    return (await this.#save(pass, null, { signal })) ? 'done' : 'more'
  }

  get #isSaveDue(): boolean {
    return performance.now() - this.#savedAt >= saveEveryMs
  }

  /** False when another pass has begun meanwhile. */
  async #save(
    { number: pass }: ScrubPass,
    place: ScrubPlace | null,
    { isStopped, signal }: Abortable & { readonly isStopped?: boolean },
  ): Promise<boolean> {
    const { bytes } = this.#tally.counts
    const progress = { ...this.#unsaved, bytes: bytes - this.#bytesBefore }
    const isSaved = await this.#parts.records.saveScrub({ pass, place, isStopped, ...progress }, { signal })
    this.#bytesBefore = bytes
    this.#unsaved = { blobs: 0, bytes: 0, missing: 0 }
    this.#savedAt = performance.now()
    return isSaved
  }
}
