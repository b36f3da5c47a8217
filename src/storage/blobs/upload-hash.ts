import {
  createDigester,
  createResumableDigester,
  type Digest,
  type DigestAlgorithm,
  type Digester,
  digestOf,
  type ResumableDigester,
  resumeDigester,
} from '../digest.ts'
import type { UploadRecord } from '../metadata/upload-records.ts'

/** What is known of the bytes up to an offset. */
export interface HashMark {
  readonly hashState: string | null
  readonly digestAtOffset: Digest | null
}

/**
 * The running digest of an upload. A session that is sent in chunks gets one whose state can be saved; one that is
 * streamed gets the fast one. Bytes that follow where no state was saved are not hashed at all: commit reads the
 * whole object then.
 */
export class UploadHash {
  readonly #digester: Digester | ResumableDigester | undefined

  private constructor(digester: Digester | ResumableDigester | undefined) {
    this.#digester = digester
  }

  /** @param isChunk whether the writer has said where its bytes belong, as those do who send more later. */
  static after({ offset, hashState, algorithm }: UploadRecord, isChunk: boolean): UploadHash {
    if (offset === 0)
      return new UploadHash(isChunk ? createResumableDigester(algorithm) : createDigester(algorithm))
    return new UploadHash(hashState === null ? undefined : resumeDigester(hashState))
  }

  update(bytes: Uint8Array): void {
    this.#digester?.update(bytes)
  }

  mark(): HashMark {
    const digester = this.#digester
    if (digester === undefined) return { hashState: null, digestAtOffset: null }
    return { hashState: 'save' in digester ? digester.save() : null, digestAtOffset: digester.digest() }
  }
}

/** The digest of all bytes of a session, when it is known without reading them. */
export function knownDigest(
  { offset, digestAtOffset, parts, tail }: UploadRecord,
  algorithm: DigestAlgorithm,
): Digest | undefined {
  if (offset === 0) return digestOf(new Uint8Array(), algorithm)
  // A tail without parts before it is the whole.
  const candidates = [digestAtOffset, parts.length === 0 ? tail?.digest : null]
  return candidates.find(digest => digest?.startsWith(`${algorithm}:`)) ?? undefined
}
