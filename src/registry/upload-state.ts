import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import type { AccountName } from '../storage/accounts/names.ts'
import type { UploadId } from '../storage/blobs/blob-store.ts'

/**
 * The `_state` of an upload's Location: how many bytes the session held when that Location was given. A body
 * that is sent a second time to the same Location (a client or proxy that timed out and tried again) would
 * otherwise be appended twice.
 *
 * It is a safeguard, not a capability: without a valid one a request is taken as it stands. The signature
 * keeps us from believing anything that we did not say. The form `base64url.base64url` holds only unreserved
 * characters, so it survives every way of parsing and writing a query.
 */
export interface UploadStates {
  /** @param account whom it is given to; null: nobody in particular. */
  sign(id: UploadId, offset: number, account: AccountName | null): string
  /** The offset that was signed for this session and account; undefined when the text is absent or not ours. */
  verify(id: UploadId, text: string | null, account: AccountName | null): number | undefined
}

const stateSchema = z.object({ id: z.string(), offset: z.int().nonnegative() })

/** @param secret shared by all replicas. Without one, states end with the process, and so does their protection. */
export function createUploadStates(secret: Uint8Array = randomBytes(32)): UploadStates {
  // No account's name is empty, and what comes before the blank has none, so no two pairs are one text.
  const macOf = (payload: string, account: AccountName | null) =>
    createHmac('sha256', secret)
      .update(account === null ? payload : `${payload} ${account}`)
      .digest()
  return {
    sign: (id, offset, account) => {
      const payload = Buffer.from(JSON.stringify({ id, offset })).toString('base64url')
      return `${payload}.${macOf(payload, account).toString('base64url')}`
    },
    verify: (id, text, account) => {
      const [payload = '', signature = ''] = text?.split('.') ?? []
      const given = Buffer.from(signature, 'base64url')
      const expected = macOf(payload, account)
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
      const state = stateSchema.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()))
      return state.id === id ? state.offset : undefined
    },
  }
}
