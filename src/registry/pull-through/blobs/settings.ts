/** How long pull-through waits for a blob, and for whom. Times in milliseconds. */
export interface BlobFetchSettings {
  /**
   * For the first byte of what somebody else is fetching, so that it need not come twice. Clients give up after 30 s, so
   * after this it is asked for once more, for them alone, and not kept.
   */
  readonly answerWithinMs: number
  /** The same for another registry that passes a question on. */
  readonly passedOnWithinMs: number
  /** For room in the spool. */
  readonly roomWithinMs: number
  /** For slow clients, all in all, where there is no room in the spool; then they read it when it is stored. */
  readonly slowClientsMs: number
  /** How long a blob may take in all; a later pull goes on where it has stopped. */
  readonly fetchWithinMs: number
  /** How long clients read the spool on when the blob is stored; then they go on from the store. */
  readonly lingerMs: number
  /** Of the lease of who fetches a blob; who died with one is waited for so long. */
  readonly leaseMs: number
  /** How often is looked whether another process has stored it. */
  readonly pollMs: number
  /** Times that a blob that breaks off is asked for again without {@link worthwhileBytes} having come in between. */
  readonly retries: number
  /** Blobs that are fetched at once for keeping; what is beyond that is not kept. */
  readonly maxFetches: number
}

export const defaultBlobFetchSettings: BlobFetchSettings = Object.freeze({
  answerWithinMs: 20_000,
  passedOnWithinMs: 2_000,
  roomWithinMs: 2_000,
  slowClientsMs: 30_000,
  fetchWithinMs: 6 * 3_600_000,
  lingerMs: 60_000,
  leaseMs: 15_000,
  pollMs: 250,
  retries: 4,
  maxFetches: 256,
})

/** Bytes that make a try that broke off one that got on. */
export const worthwhileBytes = 1024 ** 2
