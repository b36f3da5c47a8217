import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError, isDomainError } from '../errors.ts'
import type { BlobIngester, BlobWriter, SessionOptions, UploadId } from '../storage/blobs/blob-store.ts'

/** In milliseconds: how long a request waits for the session's other writer, and between two attempts. */
export interface TurnTimes {
  readonly waitMs: number
  readonly retryMs: number
}

export const defaultTurnTimes: TurnTimes = Object.freeze({ waitMs: 5_000, retryMs: 50 })

/** The right to write into an upload session, which one request has at a time. */
export interface UploadTurn {
  readonly writer: BlobWriter
  /** Bytes that the session held when this request came; undefined when it did not have to wait. */
  readonly offsetAtArrival?: number | undefined
}

/**
 * Takes the session's lease. A client that lost its connection often comes back before the registry has noticed
 * and let the old request go, so a session that is busy is waited for, though not for long.
 *
 * @throws DomainError `not_found`, `busy`.
 */
export async function takeTurn(
  blobs: BlobIngester,
  id: UploadId,
  session: SessionOptions & { readonly signal: AbortSignal },
  { waitMs, retryMs }: TurnTimes = defaultTurnTimes,
): Promise<UploadTurn> {
  const attempts = Math.ceil(waitMs / retryMs)
  let offsetAtArrival: number | undefined
  for (let attempt = 0; ; attempt++) {
    try {
      return { writer: await blobs.resume(id, session), offsetAtArrival }
    } catch (error) {
      if (!isDomainError(error, 'busy') || attempt >= attempts) throw error
    }
    offsetAtArrival ??= (await blobs.status(id, session)).offset
    await sleep(retryMs, undefined, { signal: session.signal })
  }
}

/**
 * Refuses a body that does not say where it belongs, when the session has moved since the client last saw it:
 * such a body has most likely been written already.
 *
 * @param expected offsets that the session must have; undefined ones say nothing.
 * @throws DomainError `out_of_range`.
 */
export function checkUnmoved(
  id: UploadId,
  offset: number,
  ...expected: readonly (number | undefined)[]
): void {
  if (expected.every(value => value === undefined || value === offset)) return
  throw new DomainError(
    'out_of_range',
    `The upload ${id} has ${offset} bytes already; go on from there, or cancel it and start again.`,
    { resource: 'upload', name: id, offset },
  )
}
