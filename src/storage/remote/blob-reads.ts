import { Readable } from 'node:stream'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { abortWith } from '../streams/abort-with.ts'
import { pullAccess } from './access.ts'
import type { Ask } from './ask.ts'
import { BlobPart } from './blob-part.ts'
import { lengthOf, selectionOf, totalIn, type WantedBytes } from './blob-selection.ts'
import type { RegistryClient } from './registry-client.ts'
import type { RegistryAnswer } from './registry-transport.ts'
import { ResumedBlob } from './resumed-blob.ts'

/** A repository, and whom it is asked as. */
export interface AskedRepository {
  readonly client: RegistryClient
  readonly repository: RepositoryName
}

export interface OpenedBytes {
  readonly stream: Readable
  /** Of the whole blob, where it was told. */
  readonly size: number | undefined
}

/**
 * A blob's bytes as they come, not verified: those that are wanted and no others. They break off when the connection does.
 * @throws DomainError `not_found`, `out_of_range`, `unsupported` for an answer that has other bytes, and as the client does.
 */
export async function openBytes(
  asked: AskedRepository,
  digest: Digest,
  wanted: WantedBytes,
  options: Abortable,
): Promise<OpenedBytes> {
  const { client, repository } = asked
  const { first, last } = wanted
  const isRange = first > 0 || last !== undefined
  const range = `bytes=${first}-${Number.isSafeInteger(last) ? last : ''}`
  const ask: Ask = {
    access: pullAccess(repository),
    what: 'blob',
    path: `blobs/${digest}`,
    headers: isRange ? { range } : {},
  }
  const answer = await client.open(ask, options)
  const isGood = answer.status === 200 || (isRange && answer.status === 206)
  if (!isGood) {
    answer.body.destroy()
    throw client.failure(ask, answer)
  }
  const selection = selectionOf(answer, wanted)
  if (selection === 'outside' || 'wrong' in selection) {
    answer.body.destroy()
    throw selection === 'outside'
      ? outside(asked, digest, wanted)
      : otherBytes(asked, digest, selection.wrong)
  }
  const { size, skip, take, isWhole } = selection
  // The parser of HTTP has counted already what came with its length.
  const isCounted = skip === 0 && take !== undefined && lengthOf(answer) === take
  const stream =
    isCounted || (skip === 0 && take === undefined)
      ? answer.body
      : new BlobPart(answer.body, {
          skip,
          take,
          isWhole,
          mismatch: what => sizeMismatch(asked, digest, what),
        })
  return { stream: client.traffic.paced(stream), size }
}

/** The same, but they go on where they broke off, a few times. */
export async function openResumed(
  asked: AskedRepository,
  digest: Digest,
  wanted: WantedBytes,
  options: Abortable,
): Promise<OpenedBytes> {
  const { stream, size = wanted.size } = await openBytes(asked, digest, wanted, options)
  const end = wanted.last ?? (size === undefined ? undefined : size - 1)
  const reopen = async (offset: number, { signal }: Abortable): Promise<Readable> => {
    const signals = [signal, options.signal].filter(one => one !== undefined)
    const rest = { first: offset, last: wanted.last, size }
    // Broken off after the last byte: what is left is nothing, which no range can say.
    if (end !== undefined && offset > end) return Readable.from([])
    return (await openBytes(asked, digest, rest, { signal: AbortSignal.any(signals) })).stream
  }
  const resumed = new ResumedBlob({ first: stream, offset: wanted.first, reopen, sleep: asked.client.sleep })
  return { stream: abortWith(resumed, options.signal), size }
}

/** By HEAD, or by asking for one byte where HEAD does not tell. @throws DomainError `not_found`, `unsupported`. */
export async function statRemoteBlob(
  asked: AskedRepository,
  digest: Digest,
  { signal }: Abortable,
): Promise<BlobInfo> {
  const { client, repository } = asked
  const ask: Ask = { access: pullAccess(repository), what: 'blob', path: `blobs/${digest}` }
  const head: Ask = { ...ask, method: 'HEAD' }
  const answer = await client.ask(head, { limit: 0, signal })
  const length = lengthOf(answer)
  if (answer.status === 200 && length !== undefined) return { digest, size: length }
  const isUntold =
    answer.status === 200 || answer.status === 405 || (answer.status >= 300 && answer.status < 400)
  if (!isUntold) throw client.failure(head, answer)
  const first: Ask = { ...ask, headers: { range: 'bytes=0-0' } }
  const byte = await client.open(first, { signal })
  byte.body.destroy()
  const size = sizeTold(byte)
  if (size !== undefined) return { digest, size }
  if (byte.status !== 200 && byte.status !== 206) throw client.failure(first, byte)
  throw new DomainError(
    'unsupported',
    `The registry ${client.registry} does not say how large the blob ${digest} of ${repository} is.`,
    { resource: 'blob', name: digest },
  )
}

function sizeTold(answer: RegistryAnswer): number | undefined {
  if (answer.status === 200) return lengthOf(answer)
  return [206, 416].includes(answer.status) ? totalIn(answer.header('content-range') ?? '') : undefined
}

function outside({ client, repository }: AskedRepository, digest: Digest, wanted: WantedBytes): DomainError {
  return new DomainError(
    'out_of_range',
    `The blob ${digest} of ${client.registry}/${repository} has no byte ${wanted.first}.`,
    { resource: 'blob', name: digest },
  )
}

function otherBytes({ client, repository }: AskedRepository, digest: Digest, wrong: string): DomainError {
  return new DomainError(
    'unsupported',
    `The blob ${digest} of ${client.registry}/${repository} ${wrong}; it is not read.`,
    { resource: 'blob', name: digest },
  )
}

function sizeMismatch({ client, repository }: AskedRepository, digest: Digest, what: string): DomainError {
  return new DomainError(
    'size_mismatch',
    `The registry ${client.registry} sent ${what} had promised for the blob ${digest} of ${repository}.`,
    { resource: 'blob', name: digest },
  )
}
