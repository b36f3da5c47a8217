import { type DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ObjectStore } from '../../storage/objects/object-store.ts'

/** After so many objects in a row that cannot be read it is not the objects that are at fault. */
const patience = 5

/**
 * Tells an object that the store fails with from a store that fails. What cannot be read proves nothing: the next pass
 * looks again.
 */
export class StoreFailures {
  readonly #objects: Pick<ObjectStore, 'ping'>
  #inARow = 0

  constructor(objects: Pick<ObjectStore, 'ping'>) {
    this.#objects = objects
  }

  succeeded(): void {
    this.#inARow = 0
  }

  /** Resolves when the next object may be tried. @throws the failure, or that of the whole store. */
  async failed(error: unknown, options: Abortable): Promise<DomainError> {
    options.signal?.throwIfAborted()
    if (!isDomainError(error) || error.details.resource === 'database') throw error
    await this.#objects.ping(options)
    this.#inARow += 1
    if (this.#inARow >= patience) throw error
    return error
  }
}
