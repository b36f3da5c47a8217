import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from './keys.ts'

/**
 * CONTRACT. An optional power of an object store: its objects have URLs of their own, which whoever holds one may
 * read without asking us. A URL is made here, without a question to the store, so that the object exists is not said.
 */
export interface Presigner {
  /**
   * A URL for GET, good for so many seconds (at most seven days) and no longer than the credentials that sign it.
   * @throws DomainError `unavailable` when there are no credentials.
   */
  presignGet(key: ObjectKey, expiresInSeconds: number, options?: Abortable): Promise<URL>
}
