import { Readable } from 'node:stream'
import { RawBody } from '../route.ts'
import { ndjson } from '../wire.ts'

/**
 * One JSON value a line, as they come and no faster than they are read. When the reader leaves, the iterator is
 * returned at once, also while it waits for its next value.
 */
export function ndjsonBody(values: AsyncIterableIterator<unknown>): RawBody {
  return new RawBody(ndjson, new NdjsonStream(values))
}

class NdjsonStream extends Readable {
  readonly #values: AsyncIterableIterator<unknown>

  constructor(values: AsyncIterableIterator<unknown>) {
    super()
    this.#values = values
  }

  override _read(): void {
    this.#values.next().then(
      ({ value, done }) => this.push(done === true ? null : `${JSON.stringify(value)}\n`),
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // Nobody is left who could be told that leaving has failed.
    this.#values.return?.().catch(() => undefined)
    callback(error)
  }
}
