import { createHash } from 'node:crypto'
import { HeadObjectCommand, ListPartsCommand, type S3Client } from '@aws-sdk/client-s3'
import { idleWatch } from './idle-watch.ts'
import { mantaListing } from './manta-listing.ts'
import { invalidKey, isSafeKey, smallestPart } from './manta-rules.ts'
import type { ForwardOptions, S3Answer, S3Exchange, S3Refusal } from './s3-exchange.ts'
import type { S3Operation } from './s3-operation.ts'
import { element, elements, rawElements } from './s3-xml.ts'

const noSuchKey: S3Refusal = { status: 404, code: 'NoSuchKey', message: 'The specified key does not exist.' }
const tooSmall: S3Refusal = {
  status: 400,
  code: 'EntityTooSmall',
  message: 'Your proposed upload is smaller than the minimum allowed object size.',
}
const noSuchUpload: S3Refusal = {
  status: 404,
  code: 'NoSuchUpload',
  message: 'The specified upload does not exist.',
}
const notContiguous: S3Refusal = {
  status: 400,
  code: 'InvalidPart',
  message: 'One or more parts could not be found: they are numbered from 1 without a gap.',
}

export type MantaHandlers = Readonly<Partial<Record<S3Operation, (exchange: S3Exchange) => Promise<void>>>>

/** For the operations that Manta answers otherwise. */
export function mantaHandlers(client: S3Client, idleMs: number): MantaHandlers {
  const list = (exchange: S3Exchange): Promise<void> =>
    instead(exchange, () => mantaListing(client, exchange.request))
  return {
    HeadObject: exchange => describe(exchange),
    GetObject: exchange => describe(exchange),
    PutObject: exchange => upload(exchange, client, idleMs),
    UploadPart: exchange => upload(exchange, client, idleMs),
    DeleteObject: exchange => deleteOne(exchange, client),
    DeleteObjects: exchange => deleteMany(exchange, client),
    CompleteMultipartUpload: exchange => complete(exchange, client),
    ListObjects: list,
    ListObjectsV2: list,
    ListMultipartUploads: exchange => instead(exchange, async () => emptyUploads(exchange)),
  }
}

/** The server's answer in Manta's words. */
export async function forward(exchange: S3Exchange, options?: ForwardOptions): Promise<S3Answer> {
  return await inMantasWords(exchange, withoutChecksums(await exchange.forward(options)))
}

/** Has the server check the signature and the bucket, and then answers something else. */
async function instead(exchange: S3Exchange, xml: () => Promise<string>): Promise<void> {
  const answer = await forward(exchange)
  if ([401, 403, 404].includes(answer.status) || answer.status >= 500) return await exchange.answer(answer)
  await discard(answer)
  await exchange.answerXml(200, await xml())
}

async function describe(exchange: S3Exchange): Promise<void> {
  const answer = await forward(exchange)
  await exchange.answer(
    plainEtag(answer, answer.status < 400 ? uuidInstead(exchange.request.key) : undefined),
  )
}

async function upload(exchange: S3Exchange, client: S3Client, idleMs: number): Promise<void> {
  const { key, bucket, headers, query } = exchange.request
  const condition = headers['if-none-match']
  if (condition !== undefined && condition !== '*' && !(await exists(client, bucket, key)))
    return await exchange.refuse(noSuchKey)
  const uploadId = query.get('uploadId')
  // Real servers answer this before they have read the body, and close: some clients then see no answer at all.
  if (uploadId !== null && (await partSizes(client, bucket, key, uploadId)) === undefined)
    return await exchange.refuse(noSuchUpload)
  const through = idleWatch(idleMs, () => exchange.reset())
  await exchange.answer(plainEtag(await forward(exchange, { through })))
}

async function deleteOne(exchange: S3Exchange, client: S3Client): Promise<void> {
  const wasThere = await exists(client, exchange.request.bucket, exchange.request.key)
  const answer = await forward(exchange)
  if (wasThere || answer.status >= 400) return await exchange.answer(answer)
  await discard(answer)
  await exchange.refuse(noSuchKey)
}

async function deleteMany(exchange: S3Exchange, client: S3Client): Promise<void> {
  const { bucket } = exchange.request
  const xml = (await exchange.body()).toString()
  const keys = elements(xml, 'Key')
  const refused = keys.find(key => !isSafeKey(key))
  if (refused !== undefined) return await exchange.refuse(invalidKey(refused))
  const isThere = await Promise.all(keys.map(key => exists(client, bucket, key)))
  const answer = await forward(exchange)
  if (answer.status >= 400) return await exchange.answer(answer)
  await discard(answer)
  const isQuiet = elements(xml, 'Quiet').includes('true')
  const results = keys.map((key, index) => {
    if (isThere[index]) return isQuiet ? '' : `<Deleted>${element('Key', key)}</Deleted>`
    return `<Error>${element('Key', key)}${element('Code', noSuchKey.code)}${element('Message', noSuchKey.message)}</Error>`
  })
  await exchange.answerXml(200, `<DeleteResult>${results.join('')}</DeleteResult>`)
}

async function complete(exchange: S3Exchange, client: S3Client): Promise<void> {
  const { bucket, key, query } = exchange.request
  const numbers = elements((await exchange.body()).toString(), 'PartNumber').map(Number)
  if (numbers.some((number, index) => number !== index + 1)) return await exchange.refuse(notContiguous)
  const sizes = await partSizes(client, bucket, key, query.get('uploadId') ?? '')
  if (sizes === undefined) return await exchange.refuse(noSuchUpload)
  if (numbers.slice(0, -1).some(number => (sizes.get(number) ?? smallestPart) < smallestPart))
    return await exchange.refuse(tooSmall)
  await exchange.answer(await forward(exchange))
}

/** Undefined when the upload is gone. */
async function partSizes(
  client: S3Client,
  Bucket: string,
  Key: string,
  UploadId: string,
): Promise<ReadonlyMap<number, number> | undefined> {
  const sizes = new Map<number, number>()
  for (let marker: string | undefined, isFirst = true; isFirst || marker !== undefined; isFirst = false) {
    const from = marker === undefined ? {} : { PartNumberMarker: marker }
    const page = await client.send(new ListPartsCommand({ Bucket, Key, UploadId, ...from })).catch(unlessGone)
    if (page === undefined) return undefined
    for (const { PartNumber = 0, Size = 0 } of page.Parts ?? []) sizes.set(PartNumber, Size)
    marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined
  }
  return sizes
}

async function exists(client: S3Client, Bucket: string, Key: string): Promise<boolean> {
  return (await client.send(new HeadObjectCommand({ Bucket, Key })).catch(unlessGone)) !== undefined
}

function unlessGone(error: unknown): undefined {
  if (
    error instanceof Error &&
    ['NotFound', 'NoSuchKey', 'NoSuchUpload', 'NoSuchBucket'].includes(error.name)
  )
    return undefined
  throw error
}

function emptyUploads({ request: { bucket } }: S3Exchange): string {
  return `<ListMultipartUploadsResult>${[
    element('Bucket', bucket),
    element('MaxUploads', 1000),
    element('IsTruncated', false),
  ].join('')}</ListMultipartUploadsResult>`
}

function plainEtag(answer: S3Answer, instead?: string): S3Answer {
  const { etag } = answer.headers
  if (typeof etag !== 'string') return answer
  return { ...answer, headers: { ...answer.headers, etag: instead ?? etag.replaceAll('"', '') } }
}

/** The same for each answer about a key. */
function uuidInstead(key: string): string | undefined {
  const hash = createHash('sha256').update(key).digest()
  if ((hash[0] ?? 0) % 2 === 0) return undefined
  return hash.toString('hex', 16, 32).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
}

function withoutChecksums(answer: S3Answer): S3Answer {
  const kept = Object.entries(answer.headers).filter(([name]) => !name.startsWith('x-amz-checksum-'))
  return { ...answer, headers: Object.fromEntries(kept) }
}

async function inMantasWords(exchange: S3Exchange, answer: S3Answer): Promise<S3Answer> {
  if (exchange.request.method === 'HEAD' || !String(answer.headers['content-type']).includes('xml'))
    return answer
  if (exchange.request.operation === 'GetObject' && answer.status < 400) return answer
  const xml = await textOf(answer)
  const mismatch = rawElements(xml, 'Code').some(code => code === 'BadDigest' || code === 'InvalidDigest')
  const body = Buffer.from(
    mismatch
      ? `<Error>${element('Code', 'ContentMD5Mismatch')}${element('Message', 'Content-MD5 does not match')}</Error>`
      : xml.replace(/<(Checksum\w+)>[^<]*<\/\1>/g, ''),
  )
  return { status: answer.status, headers: { ...answer.headers, 'content-length': body.length }, body }
}

async function textOf({ body }: S3Answer): Promise<string> {
  if (body instanceof Uint8Array) return body.toString()
  const chunks = await body.toArray()
  return Buffer.concat(chunks).toString()
}

async function discard(answer: S3Answer): Promise<void> {
  await textOf(answer)
}
