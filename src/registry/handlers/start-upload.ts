import { DomainError, isDomainError } from '../../errors.ts'
import type { BlobInfo, BlobStore, RepositoryBlobs } from '../../storage/blobs/blob-store.ts'
import {
  algorithmOf,
  type Digest,
  type DigestAlgorithm,
  isDigestAlgorithm,
  parseDigest,
} from '../../storage/digest.ts'
import type { BlobRecords } from '../../storage/metadata/blob-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { Handler } from '../handler.ts'
import { blobPath } from '../locations.ts'
import { mountSourceOf } from '../mount-source.ts'
import type { Reply } from '../reply.ts'
import { accountOf, announcedLength, type RegistryRequest, repositoryOf } from '../request.ts'
import { requesterOf } from '../requester.ts'
import { sessionHeaders } from '../session-headers.ts'
import type { UploadStates } from '../upload-state.ts'

/**
 * POST …/blobs/uploads/, which means one of three things (distribution-spec, "Pushing blobs"): a mount when
 * there is `mount`, a whole blob when there is `digest`, and else the start of an upload session. A mount that
 * is not possible starts a session, too.
 */
export function createStartUploadHandler(
  blobs: BlobStore,
  records: Pick<BlobRecords, 'repositoriesWithBlob'>,
  states: UploadStates,
): Handler {
  return async request => {
    const repository = repositoryOf(request)
    const own = blobs.repository(repository)
    if (request.query.has('mount')) {
      const mounted = await mount(own, records, request)
      return mounted === undefined ? open(repository, own, request) : created(repository, mounted.digest)
    }
    const digest = request.query.get('digest')
    if (digest !== null) return created(repository, await pushWhole(own, parseDigest(digest), request))
    return open(repository, own, request)
  }

  async function open(
    repository: RepositoryName,
    own: RepositoryBlobs,
    request: RegistryRequest,
  ): Promise<Reply> {
    const { query, signal } = request
    const account = accountOf(request)
    await using writer = await own.create({ algorithm: algorithmHint(query), account, signal })
    return { status: 202, headers: sessionHeaders(repository, writer, states, account) }
  }
}

/** The blob, when it could be mounted; whatever stands in the way, the client may still push it. */
async function mount(
  own: RepositoryBlobs,
  records: Pick<BlobRecords, 'repositoriesWithBlob'>,
  request: RegistryRequest,
): Promise<BlobInfo | undefined> {
  const { query, signal } = request
  try {
    const digest = parseDigest(query.get('mount') ?? '')
    const source = await mountSourceOf(request, digest, records)
    if (source === undefined) return undefined
    return await own.link(digest, source, { by: requesterOf(request), signal })
  } catch (error) {
    if (isDomainError(error, 'not_found', 'invalid')) return undefined
    throw error
  }
}

async function pushWhole(own: RepositoryBlobs, digest: Digest, request: RegistryRequest): Promise<Digest> {
  const { headers, body, signal } = request
  await using writer = await own.create({
    algorithm: algorithmOf(digest),
    account: accountOf(request),
    signal,
  })
  try {
    await writer.write(body, { length: announcedLength(headers), signal })
    return (await writer.commit({ digest, by: requesterOf(request), signal })).digest
  } catch (error) {
    // The client was never told of this session, so nobody can go on with it. It may be gone already, or be a blob.
    if (writer.committed === undefined) await writer.cancel()
    throw error
  }
}

function created(repository: RepositoryName, digest: Digest): Reply {
  return {
    status: 201,
    headers: { Location: blobPath(repository, digest), 'Docker-Content-Digest': digest },
  }
}

/** distribution-spec, end-4c. */
function algorithmHint(query: URLSearchParams): DigestAlgorithm | undefined {
  const text = query.get('digest-algorithm')
  if (text === null || isDigestAlgorithm(text)) return text ?? undefined
  throw new DomainError(
    'invalid',
    `The digest algorithm ${JSON.stringify(text)} is not supported; use sha256 or sha512.`,
    {
      resource: 'digest',
      name: text,
    },
  )
}
