import type { Digest } from '../../src/storage/digest.ts'

/**
 * What a client knows: `there` and `gone` were acknowledged. `unsure`: a request that makes or deletes it went out, and
 * no answer came, or one that promises nothing.
 */
export type Fate = 'there' | 'gone' | 'unsure'

/** Something that was pushed, or may have been. Its bytes are known by their digest. */
export interface Item {
  readonly kind: 'blob' | 'manifest'
  readonly path: string
  readonly digest: Digest
  fate: Fate
}

/** A tag, and every manifest that it may name: several, or none, after requests without an answer. */
export interface TagEntry {
  readonly path: string
  readonly candidates: Set<Digest | undefined>
}

/** What happened, for the report. */
export interface Tally {
  pushesAcknowledged: number
  pushesUnsure: number
  pulls: number
  bytesPushed: number
  bytesPulled: number
  deletes: number
  /** Answers 503. */
  refused: number
  /** Requests whose connection broke, at whatever point. */
  broken: number
  /** Sessions that went on after a request of theirs had failed. */
  resumed: number
}

export function newTally(): Tally {
  return {
    pushesAcknowledged: 0,
    pushesUnsure: 0,
    pulls: 0,
    bytesPushed: 0,
    bytesPulled: 0,
    deletes: 0,
    refused: 0,
    broken: 0,
    resumed: 0,
  }
}

/** A promise that was broken: something lost, a wrong byte, an answer that nobody may give. */
export class Violation extends Error {}
