import { DomainError } from '../../errors.ts'
import type { BlobBody, BlobInfo, BlobProvider, BlobStore } from '../../storage/blobs/blob-store.ts'
import type { Digest } from '../../storage/digest.ts'
import type { BlobRecords } from '../../storage/metadata/blob-records.ts'
import type { ByteRange } from '../../storage/objects/object-store.ts'
import { parseByteRange } from '../byte-range.ts'
import { etagOf, matchesNone, rangeStillCounts } from '../conditional.ts'
import { errorReply } from '../errcode.ts'
import type { Handler } from '../handler.ts'
import { multipartRanges } from '../multipart-ranges.ts'
import type { BlobRedirects } from '../redirects.ts'
import type { Headers, Reply } from '../reply.ts'
import { digestParamOf, type RegistryRequest, repositoryOf } from '../request.ts'
import { requesterOf } from '../requester.ts'

export interface BlobHandlers {
  readonly get: Handler
  readonly head: Handler
  readonly delete: Handler
}

const blobType = 'application/octet-stream'

/** distribution-spec, "Pulling blobs" and "Deleting blobs". */
export function createBlobHandlers(
  blobs: BlobStore,
  records: Pick<BlobRecords, 'unlinkBlob'>,
  redirects?: BlobRedirects,
): BlobHandlers {
  return {
    get: async request => {
      const digest = digestParamOf(request)
      const repository = blobs.repository(repositoryOf(request))
      const url = await redirectUrl(repository, digest, request)
      return url === undefined ? await blobReply(repository, request) : redirectTo(url, digest)
    },

    head: request => blobHeadReply(blobs.repository(repositoryOf(request)), request),

    delete: async request => {
      await records.unlinkBlob(repositoryOf(request), digestParamOf(request), {
        by: requesterOf(request),
        signal: request.signal,
      })
      return { status: 202 }
    },
  }

  async function redirectUrl(
    repository: BlobProvider,
    digest: Digest,
    { client, signal }: RegistryRequest,
  ): Promise<URL | undefined> {
    if (redirects === undefined || redirects.exempts(client)) return undefined
    return repository.presign(digest, redirects.expiresInSeconds, { signal })
  }
}

/** What GET answers with a blob, wherever it comes from. @throws DomainError as the provider does. */
export async function blobReply(provider: BlobProvider, request: RegistryRequest): Promise<Reply> {
  const digest = digestParamOf(request)
  const { headers, signal } = request
  const range = rangeStillCounts(headers['if-range']?.toString(), digest) ? headers.range : undefined
  // Most pulls ask for the whole blob, and then `open` alone is one question fewer to the database.
  if (range === undefined && headers['if-none-match'] === undefined)
    return wholeBlob(await provider.open(digest, { signal }))
  const info = await provider.stat(digest, { signal })
  if (matchesNone(headers['if-none-match'], digest)) return notModified(digest)
  const wanted = parseByteRange(range, info.size)
  switch (wanted.kind) {
    case 'whole':
      return wholeBlob(await provider.open(digest, { signal }))
    case 'part':
      return partOf(await provider.open(digest, { range: wanted.range, signal }), wanted.range)
    case 'parts':
      return partsOf(provider, info, wanted.ranges, signal)
    case 'unsatisfiable':
      return unsatisfiable(info)
  }
}

/** What HEAD answers. @throws DomainError as the provider does. */
export async function blobHeadReply(
  provider: Pick<BlobProvider, 'stat'>,
  request: RegistryRequest,
): Promise<Reply> {
  const digest = digestParamOf(request)
  const { size } = await provider.stat(digest, { signal: request.signal })
  if (matchesNone(request.headers['if-none-match'], digest)) return notModified(digest)
  return { status: 200, headers: headersOf(digest), content: { type: blobType, length: size } }
}

/** The store answers ranges and conditions as well, so the request is sent on with all that it has. */
function redirectTo(url: URL, digest: Digest): Reply {
  return {
    status: 307,
    // The URL is good for a while only, and nobody else's.
    headers: { Location: url.href, 'Docker-Content-Digest': digest, 'Cache-Control': 'private, no-store' },
  }
}

function wholeBlob({ digest, size, stream }: BlobBody): Reply {
  return { status: 200, headers: headersOf(digest), content: { type: blobType, length: size, stream } }
}

function partOf({ digest, size, stream }: BlobBody, { first, last }: ByteRange): Reply {
  return {
    status: 206,
    headers: { ...headersOf(digest), 'Content-Range': `bytes ${first}-${last}/${size}` },
    content: { type: blobType, length: last - first + 1, stream },
  }
}

function partsOf(
  repository: BlobProvider,
  { digest, size }: BlobInfo,
  ranges: readonly ByteRange[],
  signal: AbortSignal,
): Reply {
  const open = async (range: ByteRange) => (await repository.open(digest, { range, signal })).stream
  return {
    status: 206,
    headers: headersOf(digest),
    content: multipartRanges({ type: blobType, size, open }, ranges),
  }
}

function headersOf(digest: Digest): Headers {
  return {
    'Docker-Content-Digest': digest,
    ETag: etagOf(digest),
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, max-age=31536000, immutable',
  }
}

function notModified(digest: Digest): Reply {
  return { status: 304, headers: headersOf(digest) }
}

function unsatisfiable({ digest, size }: BlobInfo): Reply {
  const reply = errorReply(
    new DomainError('out_of_range', `The range lies outside of the blob's ${size} bytes.`, {
      resource: 'blob',
      name: digest,
    }),
  )
  return { ...reply, headers: { ...reply.headers, 'Content-Range': `bytes */${size}` } }
}
