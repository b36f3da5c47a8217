/** What a thread of bcrypt-threads.ts is asked to do. */
export type BcryptWork =
  | { readonly kind: 'hash'; readonly password: string; readonly setting: number | string }
  | {
      readonly kind: 'compare'
      readonly password: string
      readonly hash: string | null
      readonly cost: number
    }

export type BcryptAnswer = { readonly value: string | boolean } | { readonly failure: string }

export function isBcryptWork(message: unknown): message is BcryptWork {
  return isObject(message) && 'kind' in message && (message.kind === 'hash' || message.kind === 'compare')
}

export function isBcryptAnswer(message: unknown): message is BcryptAnswer {
  return isObject(message) && ('value' in message || 'failure' in message)
}

function isObject(message: unknown): message is object {
  return typeof message === 'object' && message !== null
}
