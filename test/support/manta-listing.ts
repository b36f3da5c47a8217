import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { S3Request } from './s3-operation.ts'
import { element } from './s3-xml.ts'

interface Entry {
  readonly name: string
  readonly size: number
  readonly etag: string
  readonly modified: Date
}

/**
 * The answer to ListObjects and ListObjectsV2 as Manta gives it: StartAfter is not looked at, the continuation token is
 * the last name, groups are entries of size 0, Prefix and MaxKeys are not what was asked for.
 */
export async function mantaListing(client: S3Client, request: S3Request): Promise<string> {
  const { query, bucket, operation } = request
  const isV2 = operation === 'ListObjectsV2'
  const limit = Number(query.get('max-keys') ?? 1000)
  const after = query.get(isV2 ? 'continuation-token' : 'marker') ?? ''
  const found: Entry[] = []
  for await (const entry of grouped(
    entries(client, bucket, query.get('prefix') ?? '', after),
    query,
    after,
  )) {
    found.push(entry)
    if (found.length > limit) break
  }
  const page = found.slice(0, limit)
  const isTruncated = found.length > limit
  const last = page.at(-1)?.name ?? ''
  return `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${[
    element('Name', bucket),
    element('Prefix', ''),
    element('MaxKeys', 1024),
    element('IsTruncated', isTruncated),
    ...(isV2 ? [element('KeyCount', page.length)] : []),
    ...(isTruncated ? [element(isV2 ? 'NextContinuationToken' : 'NextMarker', last)] : []),
    ...page.map(contents),
  ].join('')}</ListBucketResult>`
}

function contents({ name, size, etag, modified }: Entry): string {
  return `<Contents>${[
    element('Key', name),
    element('LastModified', modified.toISOString()),
    element('ETag', etag),
    element('Size', size),
    element('StorageClass', 'STANDARD'),
  ].join('')}</Contents>`
}

async function* entries(
  client: S3Client,
  bucket: string,
  prefix: string,
  after: string,
): AsyncIterable<Entry> {
  for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: prefix,
        ...(token === undefined ? {} : { ContinuationToken: token }),
        ...(after === '' ? {} : { StartAfter: after }),
      }),
    )
    for (const { Key = '', Size = 0, ETag = '""', LastModified = new Date() } of page.Contents ?? [])
      yield { name: Key, size: Size, etag: ETag, modified: LastModified }
    token = page.NextContinuationToken
  }
}

async function* grouped(
  all: AsyncIterable<Entry>,
  query: URLSearchParams,
  after: string,
): AsyncIterable<Entry> {
  const delimiter = query.get('delimiter') ?? ''
  const prefixLength = (query.get('prefix') ?? '').length
  let group = delimiter !== '' && after.endsWith(delimiter) ? after : undefined
  for await (const entry of all) {
    if (group !== undefined && entry.name.startsWith(group)) continue
    const end = delimiter === '' ? -1 : entry.name.indexOf(delimiter, prefixLength)
    if (end < 0) {
      yield entry
      continue
    }
    group = entry.name.slice(0, end + 1)
    yield { ...entry, name: group, size: 0, etag: '""' }
  }
}
