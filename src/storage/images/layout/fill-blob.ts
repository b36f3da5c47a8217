import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError, errnoOf, isDomainError } from '../../../errors.ts'
import type { BlobInfo } from '../../blobs/blob-store.ts'
import type { OpenBlobFrom } from '../image-repository.ts'
import type { AppendOptions, PartialBlob } from './partial-blob.ts'

/** Times that a source may break off without having given anything worth mentioning, one after another. */
const maxFruitless = 4
const worthMentioningBytes = 64 * 1024
/** The first pause; each next one is longer by as much. */
const pauseMs = 200

/**
 * Asks for what is missing of a blob until nothing is. A source that breaks off is asked for the rest, a few times.
 * @throws DomainError as the source does; `size_mismatch`, `digest_mismatch`.
 */
export async function fillBlob(
  partial: PartialBlob,
  { digest, size }: BlobInfo,
  open: OpenBlobFrom,
  { signal, onBytes }: AppendOptions,
): Promise<void> {
  let fruitless = 0
  while (partial.offset < size) {
    signal?.throwIfAborted()
    const before = partial.offset
    const failure = await partOf(partial, open, { signal, onBytes })
    if (partial.offset === size) break
    fruitless = partial.offset - before >= worthMentioningBytes ? 0 : fruitless + 1
    if (fruitless >= maxFruitless) throw failure ?? tooShort({ digest, size }, partial.offset)
    await sleep(fruitless * pauseMs, undefined, { signal })
  }
}

/** @returns how it broke off; undefined when the source says that this is all. */
async function partOf(
  partial: PartialBlob,
  open: OpenBlobFrom,
  { signal, onBytes }: AppendOptions,
): Promise<Error | undefined> {
  try {
    const stream = await open(partial.offset, { signal })
    await partial.append(stream, { signal, onBytes })
    return undefined
  } catch (error) {
    signal?.throwIfAborted()
    if (isBreak(error)) return error
    throw error
  }
}

function isBreak(error: unknown): error is Error {
  if (isDomainError(error)) return error.code === 'unavailable'
  const errno = errnoOf(error)
  return errno === 'ECONNRESET' || errno === 'ERR_STREAM_PREMATURE_CLOSE'
}

function tooShort({ digest, size }: BlobInfo, actual: number): DomainError {
  return new DomainError(
    'size_mismatch',
    `The blob ${digest} has ${actual} bytes where ${size} were promised.`,
    {
      resource: 'blob',
      name: digest,
    },
  )
}
