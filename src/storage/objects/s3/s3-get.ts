import { Readable } from 'node:stream'
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { DomainError } from '../../../errors.ts'
import { abortWith } from '../../streams/abort-with.ts'
import { untilReadable } from '../../streams/readable.ts'
import { selectRange } from '../byte-range.ts'
import type { ObjectKey } from '../keys.ts'
import type { ByteRange, GetOptions, ObjectBody } from '../object-store.ts'
import { ResumingStream } from './resuming-stream.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { fromS3 } from './s3-errors.ts'

interface Opened {
  readonly body: Readable
  /** Bytes of the object. */
  readonly size: number
  /** Where the body begins, and how many bytes were announced. */
  readonly first: number
  readonly length: number
}

/** One request, and another one for each time that a connection breaks. */
export async function getObject(
  bucket: S3Bucket,
  key: ObjectKey,
  { range, signal }: GetOptions = {},
): Promise<ObjectBody> {
  const what = { resource: 'object', name: key } as const
  // S3 takes a range that makes no sense for none.
  if (range !== undefined) selectRange(Number.MAX_SAFE_INTEGER, range, what)
  const { body, size, first, length } = await openRange(bucket, key, range, signal)
  const wanted = announcedRange(size, range)
  if (wanted === undefined || wanted.first !== first || wanted.length !== length) {
    discard(body)
    if (range !== undefined) selectRange(size, range, what)
    throw oddAnswer(bucket, key)
  }
  const end = first + length
  const reopen = async (position: number, ownSignal: AbortSignal): Promise<Readable> => {
    const rest = await openRange(bucket, key, { first: position, last: end - 1 }, ownSignal)
    if (rest.size === size && rest.first === position && rest.length === end - position) return rest.body
    discard(rest.body)
    throw oddAnswer(bucket, key)
  }
  const { idleTimeoutMs, maxAttempts } = bucket.settings
  const stream = new ResumingStream(body, {
    start: first,
    end,
    reopen,
    idleTimeoutMs,
    maxBreaks: maxAttempts,
    convert: error => fromS3(error, bucket.about(key)),
  })
  return { key, size, stream: await begun(abortWith(stream, signal), signal) }
}

/** What fails before its first byte is a failed request, so whoever has got the stream can promise something. */
async function begun<Stream extends Readable>(
  stream: Stream,
  signal: AbortSignal | undefined,
): Promise<Stream> {
  try {
    await untilReadable(stream)
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
  return stream
}

/** What the whole answer to a range must be; undefined when the object has no such bytes. */
function announcedRange(
  size: number,
  range: ByteRange | undefined,
): { readonly first: number; readonly length: number } | undefined {
  if (range !== undefined && range.first >= size) return undefined
  return selectRange(size, range, { resource: 'object' })
}

async function openRange(
  bucket: S3Bucket,
  key: ObjectKey,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const input = { Bucket: bucket.name, Key: bucket.nameOf(key), Range: headerOf(range) }
  const answer = await bucket.call(key, { signal }, (client, options) =>
    client.send(new GetObjectCommand(input), options),
  )
  const { Body: body } = answer
  if (!(body instanceof Readable)) throw oddAnswer(bucket, key)
  const place = placeOf(answer)
  if (place !== undefined) return { body, ...place }
  discard(body)
  throw oddAnswer(bucket, key)
}

/** RFC 9110, 14.2. */
function headerOf(range: ByteRange | undefined): string | undefined {
  if (range === undefined) return undefined
  return `bytes=${range.first}-${Number.isSafeInteger(range.last) ? range.last : ''}`
}

function placeOf({
  ContentRange: range,
  ContentLength: length,
}: GetObjectCommandOutput): Omit<Opened, 'body'> | undefined {
  if (length === undefined) return undefined
  if (range === undefined) return { size: length, first: 0, length }
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? []
  if (first === undefined || Number(last) - Number(first) + 1 !== length) return undefined
  return { size: Number(size), first: Number(first), length }
}

function discard(body: Readable): void {
  body.on('error', () => {}).destroy()
}

function oddAnswer(bucket: S3Bucket, key: ObjectKey): DomainError {
  return new DomainError(
    'unavailable',
    `The object store ${bucket.about().store} answered with other bytes of the object ${key} than were asked for; check what stands between.`,
    { resource: 'object', name: key },
  )
}
