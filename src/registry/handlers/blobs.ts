import { DomainError } from '../../errors.ts'
import type { BlobInfo, BlobStore } from '../../storage/blobs/blob-store.ts'
import type { Digest } from '../../storage/digest.ts'
import type { BlobRecords } from '../../storage/metadata/metadata.ts'
import { parseByteRange } from '../byte-range.ts'
import { etagOf, matchesNone, rangeStillCounts } from '../conditional.ts'
import { errorReply } from '../errcode.ts'
import type { Handler } from '../handler.ts'
import type { Headers, Reply } from '../reply.ts'
import { digestParamOf, type RegistryRequest, repositoryOf } from '../request.ts'

export interface BlobHandlers {
  readonly get: Handler
  readonly head: Handler
  readonly delete: Handler
}

const blobType = 'application/octet-stream'

/** distribution-spec, "Pulling blobs" and "Deleting blobs". */
export function createBlobHandlers(blobs: BlobStore, records: Pick<BlobRecords, 'unlinkBlob'>): BlobHandlers {
  return {
    get: async request => {
      const digest = digestParamOf(request)
      const repository = blobs.repository(repositoryOf(request))
      const { headers, signal } = request
      if (!needsSize(request, digest)) {
        const { size, stream } = await repository.open(digest, { signal })
        return { status: 200, headers: headersOf(digest), content: { type: blobType, length: size, stream } }
      }
      const info = await repository.stat(digest, { signal })
      if (matchesNone(headers['if-none-match'], digest)) return notModified(digest)
      const wanted = parseByteRange(headers.range, info.size)
      if (wanted.kind === 'unsatisfiable') return unsatisfiable(info)
      const range = wanted.kind === 'part' ? wanted.range : undefined
      const { stream } = await repository.open(digest, { range, signal })
      if (range === undefined)
        return {
          status: 200,
          headers: headersOf(digest),
          content: { type: blobType, length: info.size, stream },
        }
      return {
        status: 206,
        headers: {
          ...headersOf(digest),
          'Content-Range': `bytes ${range.first}-${range.last}/${info.size}`,
        },
        content: { type: blobType, length: range.last - range.first + 1, stream },
      }
    },

    head: async request => {
      const digest = digestParamOf(request)
      const { size } = await blobs.repository(repositoryOf(request)).stat(digest, { signal: request.signal })
      if (matchesNone(request.headers['if-none-match'], digest)) return notModified(digest)
      return { status: 200, headers: headersOf(digest), content: { type: blobType, length: size } }
    },

    delete: async request => {
      await records.unlinkBlob(repositoryOf(request), digestParamOf(request), { signal: request.signal })
      return { status: 202 }
    },
  }
}

/** Most pulls ask for the whole blob, and then `open` alone is one question fewer to the database. */
function needsSize({ headers }: RegistryRequest, digest: Digest): boolean {
  const wantsRange = headers.range !== undefined && rangeStillCounts(headers['if-range']?.toString(), digest)
  return wantsRange || headers['if-none-match'] !== undefined
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
