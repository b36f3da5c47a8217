import { LRUCache } from 'lru-cache'

const maxAbsences = 10_000

/** What upstreams have just said that they do not have. In memory: whoever asks for what is nowhere fills no database. */
export class Absences {
  readonly #until = new LRUCache<string, true>({ max: maxAbsences })

  has(key: string): boolean {
    return this.#until.get(key) === true
  }

  note(key: string, seconds: number): void {
    if (seconds > 0) this.#until.set(key, true, { ttl: seconds * 1000 })
  }

  forget(key: string): void {
    this.#until.delete(key)
  }
}
