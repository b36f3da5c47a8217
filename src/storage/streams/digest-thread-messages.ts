import type { DigestAlgorithm } from '../digest.ts'

/** What the thread of digest-thread.ts is asked to do, in this order for each `id`. */
export type DigestWork =
  | { readonly id: number; readonly kind: 'begin'; readonly algorithm: DigestAlgorithm }
  | { readonly id: number; readonly kind: 'update'; readonly bytes: Uint8Array }
  /** The digest of all bytes so far is the answer, and nothing more comes. */
  | { readonly id: number; readonly kind: 'end' }
  /** Nobody wants it any more; there is no answer. */
  | { readonly id: number; readonly kind: 'drop' }

/** The next thing of that `id` was done. */
export interface DigestAnswer {
  readonly id: number
  /** After the end. */
  readonly digest?: string
}

export function isDigestWork(message: unknown): message is DigestWork {
  return isObject(message) && 'kind' in message
}

export function isDigestAnswer(message: unknown): message is DigestAnswer {
  return isObject(message) && 'id' in message
}

function isObject(message: unknown): message is object {
  return typeof message === 'object' && message !== null
}
