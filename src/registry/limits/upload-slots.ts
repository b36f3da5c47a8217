import type { Handler, HandlerLayer } from '../handler.ts'
import { announcedLength } from '../request.ts'
import { partyOf } from './limited-party.ts'
import { type OnLimited, throttled } from './throttled.ts'

/** The operations whose body is bytes of a blob. */
const uploads: ReadonlySet<string> = new Set(['upload.start', 'upload.append', 'upload.finish'])

/** Refuses uploads beyond those that one account, or one address, may have at once. */
export class UploadSlots implements HandlerLayer {
  readonly #limit: number
  readonly #onLimited: OnLimited
  readonly #taken = new Map<string, number>()

  constructor(limit: number, onLimited: OnLimited) {
    this.#limit = limit
    this.#onLimited = onLimited
  }

  around(operation: string, handler: Handler): Handler {
    if (!uploads.has(operation)) return handler
    return async request => {
      if (announcedLength(request.headers) === 0) return handler(request)
      const party = partyOf(request)
      const key = `${party.kind} ${party.name}`
      const taken = this.#taken.get(key) ?? 0
      if (taken >= this.#limit) {
        this.#onLimited('uploads')
        throw throttled('uploads at once', party, 1000)
      }
      this.#taken.set(key, taken + 1)
      try {
        return await handler(request)
      } finally {
        const left = (this.#taken.get(key) ?? 1) - 1
        if (left === 0) this.#taken.delete(key)
        else this.#taken.set(key, left)
      }
    }
  }
}
