import {
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type _Object as S3Object,
} from '@aws-sdk/client-s3'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import { isListed, isOwnKey } from '../keys.ts'
import type { ListOptions, ObjectInfo, UnfinishedWrite } from '../object-store.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { S3Multipart } from './s3-multipart.ts'

/** A request per thousand names. What has a name that is no key is nobody's object, or a store's own. */
export async function* listObjects(
  bucket: S3Bucket,
  prefix: string,
  { after, signal }: ListOptions = {},
): AsyncGenerator<ObjectInfo> {
  const first =
    bucket.settings.profile.startAfter && after !== undefined ? { StartAfter: bucket.nameOf(after) } : {}
  for await (const { Key: name, Size: size = 0 } of contents(
    bucket,
    { Prefix: bucket.nameOf(prefix), ...first },
    signal,
  )) {
    const key = bucket.keyOf(name)
    if (key !== undefined && isListed(key, prefix) && key > (after ?? '')) yield { key, size }
  }
}

/** What the bucket holds under a name, whoever has put it there. */
export interface NamedObject {
  /** The whole name, without regard to the prefix of our keys. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly changedAt: Date
}

/** A request per thousand names, in byte order; `prefix` begins the whole name. */
export async function* listNames(
  bucket: S3Bucket,
  prefix: string,
  { signal }: Abortable = {},
): AsyncGenerator<NamedObject> {
  for await (const { Key: name, Size: size = 0, LastModified: changedAt } of contents(
    bucket,
    { Prefix: prefix },
    signal,
  ))
    if (name !== undefined) yield { name, size, changedAt: changedAt ?? new Date(0) }
}

async function* contents(
  bucket: S3Bucket,
  wanted: Pick<ListObjectsV2CommandInput, 'Prefix' | 'StartAfter'>,
  signal: AbortSignal | undefined,
): AsyncGenerator<S3Object> {
  const from = { Bucket: bucket.name, ...wanted }
  for (let token: string | undefined; ; ) {
    const input = token === undefined ? from : { ...from, ContinuationToken: token }
    const page = await bucket.call(undefined, { signal }, (client, options) =>
      client.send(new ListObjectsV2Command(input), options),
    )
    for (const object of page.Contents ?? []) {
      yield object
      signal?.throwIfAborted()
    }
    if (page.IsTruncated !== true) return
    token = next(bucket, token, page.NextContinuationToken)
  }
}

/** A request per thousand uploads; none of a store that does not list them. */
export async function* listUnfinished(
  bucket: S3Bucket,
  { signal }: Abortable = {},
): AsyncGenerator<UnfinishedWrite> {
  signal?.throwIfAborted()
  if (!bucket.settings.profile.listsUnfinished) return
  const { prefix } = bucket.settings
  // MinIO lists all uploads, or those of one object.
  const from = { Bucket: bucket.name, ...(prefix === '' ? {} : { Prefix: prefix }) }
  for (let marker: Record<string, string> = {}; ; ) {
    const page = await bucket.call(undefined, { signal }, (client, options) =>
      client.send(new ListMultipartUploadsCommand({ ...from, ...marker }), options),
    )
    for (const { Key: name, UploadId: token, Initiated: since } of page.Uploads ?? []) {
      const key = bucket.keyOf(name)
      if (key === undefined || !isOwnKey(key) || token === undefined || since === undefined) continue
      // Its parts are not our concern, so neither is their size.
      const upload = new S3Multipart(bucket, key, token, 0)
      yield { token, since, discard: options => upload.abort(options) }
      signal?.throwIfAborted()
    }
    if (page.IsTruncated !== true) return
    const place = `${page.NextKeyMarker} ${page.NextUploadIdMarker}`
    next(bucket, `${marker['KeyMarker']} ${marker['UploadIdMarker']}`, place)
    marker = { KeyMarker: page.NextKeyMarker ?? '', UploadIdMarker: page.NextUploadIdMarker ?? '' }
  }
}

/** A listing that does not get on would never end. */
function next(bucket: S3Bucket, before: string | undefined, token: string | undefined): string {
  if (token !== undefined && token !== before) return token
  const { name } = bucket
  throw new DomainError(
    'unavailable',
    `The object store ${bucket.about().store} says that the bucket ${name} has more than it lists, and not where that begins.`,
    { resource: 'object' },
  )
}
