import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { DomainError, errnoOf } from '../../errors.ts'

const schema = z.strictObject({
  version: z.literal(1),
  /** The stream that the position belongs to. */
  events: z.string(),
  position: z.int().nonnegative(),
})

/** How far a rule has come: one small document that is replaced whole, so that a crash leaves the old one or the new one. */
export class SavedPosition {
  readonly #path: string
  readonly #events: string

  /** @param directory exists, and is private to this user. */
  constructor(directory: string, name: string, events: string) {
    this.#path = join(directory, `${name}.json`)
    this.#events = events
  }

  /** Undefined when there is none for this stream. @throws DomainError `unavailable`. */
  async load(): Promise<number | undefined> {
    try {
      const saved = schema.parse(JSON.parse(await readFile(this.#path, 'utf8')))
      return saved.events === this.#events ? saved.position : undefined
    } catch (cause) {
      // A document that was written by something else says nothing about this stream.
      if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === undefined) return undefined
      throw this.#failure('read', cause)
    }
  }

  /** It is durable when this resolves. @throws DomainError `no_space`, `unavailable`. */
  async save(position: number): Promise<void> {
    const temporary = `${this.#path}.${randomUUID()}.new`
    const document: z.input<typeof schema> = { version: 1, events: this.#events, position }
    try {
      await using file = await open(temporary, 'wx', 0o600)
      await file.writeFile(`${JSON.stringify(document)}\n`)
      await file.sync()
      await rename(temporary, this.#path)
      await using directory = await open(dirname(this.#path), 'r')
      await directory.sync()
    } catch (cause) {
      await rm(temporary, { force: true })
      throw this.#failure('written', cause)
    }
  }

  #failure(what: string, cause: unknown): DomainError {
    const isFull = errnoOf(cause) === 'ENOSPC' || errnoOf(cause) === 'EDQUOT'
    return new DomainError(
      isFull ? 'no_space' : 'unavailable',
      `The position ${this.#path} cannot be ${what} (${errnoOf(cause) ?? String(cause)}).`,
      { resource: 'event', name: this.#path },
      { cause },
    )
  }
}
