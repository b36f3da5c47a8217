import type { Digest, DigestAlgorithm } from '../../../src/storage/digest.ts'

/** What a client sees of one upload session, whatever it talks to. */
export interface UploadSystem<Session> {
  open(algorithm: DigestAlgorithm | undefined): Promise<Session>
  /** Sends one body to where the session was when `session` was last told, or to where `at` says. */
  append(session: Session, chunks: readonly Buffer[], at?: number): Promise<Outcome>
  /** Sends one body to where the session was at an earlier time, as a client does that has missed an answer. */
  replay(session: Session, bytes: Buffer, age: number): Promise<Outcome>
  /** Sends `sent` bytes of a body that is longer, and is gone. Resolves when nothing more happens. */
  breakOff(session: Session, bytes: Buffer, sent: number): Promise<void>
  /** Two bodies at once. */
  race(session: Session, one: Buffer, other: Buffer): Promise<readonly [Outcome, Outcome]>
  status(session: Session): Promise<Outcome>
  /** @param last what comes with the closing request. */
  commit(session: Session, digest: Digest, last?: { bytes: Buffer; at: number }): Promise<Outcome>
  cancel(session: Session): Promise<Outcome>
  /** The bytes of a blob; undefined when it is not visible. */
  read(digest: Digest): Promise<Buffer | undefined>
  /** Begins anew with what is stored. */
  restart(): Promise<void>
}

export type Outcome =
  /** The session goes on; `range` as in HTTP, `0-<last byte>`. */
  | { readonly kind: 'open'; readonly range: string }
  /** The bytes do not belong there; the session goes on. */
  | { readonly kind: 'moved'; readonly range: string }
  | { readonly kind: 'committed' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'wrong digest' }
  | { readonly kind: 'gone' }

export const committed: Outcome = { kind: 'committed' }
export const cancelled: Outcome = { kind: 'cancelled' }
export const wrongDigest: Outcome = { kind: 'wrong digest' }
export const gone: Outcome = { kind: 'gone' }

export function openAt(offset: number): Outcome {
  return { kind: 'open', range: rangeOf(offset) }
}

export function movedAt(offset: number): Outcome {
  return { kind: 'moved', range: rangeOf(offset) }
}

/** How HTTP says it: an empty session and one of a single byte look the same. */
export function rangeOf(offset: number): string {
  return `0-${Math.max(offset - 1, 0)}`
}
