import type { Readable } from 'node:stream'
import type { Abortable } from '../abortable.ts'

/**
 * CONTRACT. What another registry has left in its storage: files by path, parts separated by `/`, never changed here.
 *
 * Everything about one file that cannot be read, and never will, is a DomainError `not_found`, `invalid` or `denied`;
 * `unavailable` says that the store does not answer at all.
 */
export interface LegacyStore extends AsyncDisposable {
  /** As a person writes it: `filesystem:/var/lib/registry`. */
  readonly name: string
  /**
   * Everything below a directory, at any depth: in such an order that what is below one directory comes together, and
   * mostly in byte order. An absent directory is empty.
   */
  list(directory: string, options?: ListLegacyOptions): AsyncIterable<LegacyEntry>
  /** A small file, whole. @throws DomainError `too_large` for more than `limit` bytes. */
  read(path: string, options: ReadLegacyOptions): Promise<Uint8Array>
  /** The caller reads or destroys the stream. */
  open(path: string, options?: Abortable): Promise<LegacyBody>
}

export type LegacyEntry = LegacyFile | LegacyRefusal

export interface LegacyFile {
  readonly kind: 'file'
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly changedAt: Date
}

/** What is there and is not read, nor anything below it. */
export interface LegacyRefusal {
  readonly kind: 'refusal'
  readonly path: string
  /** Why, as the end of a sentence about it. */
  readonly reason: string
}

export interface ListLegacyOptions extends Abortable {
  /** Whether anything below the directory is wanted; where the store knows no directories, all of it comes. */
  readonly enters?: ((directory: string) => boolean) | undefined
}

export interface ReadLegacyOptions extends Abortable {
  /** Bytes. */
  readonly limit: number
}

export interface LegacyBody {
  /** Bytes. */
  readonly size: number
  readonly stream: Readable
}
