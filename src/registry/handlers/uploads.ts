import { DomainError } from '../../errors.ts'
import type { BlobStore, RepositoryBlobs, SessionOptions, UploadId } from '../../storage/blobs/blob-store.ts'
import { parseUploadId } from '../../storage/blobs/upload-id.ts'
import { type Digest, parseDigest } from '../../storage/digest.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { chunkRangeOf } from '../chunk-range.ts'
import { errorReply, failureOf } from '../errcode.ts'
import type { Handler } from '../handler.ts'
import { blobPath } from '../locations.ts'
import type { Reply } from '../reply.ts'
import { accountOf, announcedLength, type RegistryRequest, repositoryOf } from '../request.ts'
import { requesterOf } from '../requester.ts'
import { sessionHeaders } from '../session-headers.ts'
import type { UploadStates } from '../upload-state.ts'
import { checkUnmoved, takeTurn, type UploadTurn } from '../upload-turn.ts'

export interface UploadHandlers {
  readonly status: Handler
  readonly append: Handler
  readonly finish: Handler
  readonly cancel: Handler
}

/** One request to one upload session. */
interface SessionRequest {
  readonly request: RegistryRequest
  readonly repository: RepositoryName
  readonly blobs: RepositoryBlobs
  readonly id: UploadId
}

/** distribution-spec, "Pushing a blob in chunks" and "Cancelling a blob upload". */
export function createUploadHandlers(blobs: BlobStore, states: UploadStates): UploadHandlers {
  return {
    status: onSession(async ({ request, repository, blobs, id }) => {
      const session = await blobs.status(id, sessionOf(request))
      return { status: 204, headers: sessionHeaders(repository, session, states, accountOf(request)) }
    }),

    append: onSession(async ({ request, repository, blobs, id }) => {
      const turn = await takeTurn(blobs, id, sessionOf(request))
      await using _lease = turn.writer
      const offset = await append(request, id, turn)
      return { status: 202, headers: sessionHeaders(repository, { id, offset }, states, accountOf(request)) }
    }),

    finish: onSession(async ({ request, repository, blobs, id }) => {
      const digest = closingDigest(request)
      const turn = await takeTurn(blobs, id, sessionOf(request))
      await using writer = turn.writer
      // A client that missed the answer sends the same request again, body included; its bytes are here already.
      const isRepeated = writer.committed === digest
      if (!isRepeated && announcedLength(request.headers) !== 0) await append(request, id, turn)
      await writer.commit({ digest, by: requesterOf(request), signal: request.signal })
      return {
        status: 201,
        headers: { Location: blobPath(repository, digest), 'Docker-Content-Digest': digest },
      }
    }),

    cancel: onSession(async ({ request, blobs, id }) => {
      const { writer } = await takeTurn(blobs, id, sessionOf(request))
      await using _lease = writer
      await writer.cancel({ signal: request.signal })
      return { status: 204, headers: { 'Docker-Upload-UUID': id } }
    }),
  }

  async function append(
    request: RegistryRequest,
    id: UploadId,
    { writer, offsetAtArrival }: UploadTurn,
  ): Promise<number> {
    const { headers, query, body, signal } = request
    const { at, length } = chunkRangeOf(headers)
    if (at === undefined) {
      const signed = states.verify(id, query.get('_state'), accountOf(request))
      checkUnmoved(id, writer.offset, offsetAtArrival, signed)
    }
    return writer.write(body, { at, length, signal })
  }

  /** A 416 says where the session stands, so that the client can go on without asking. */
  function onSession(handle: (session: SessionRequest) => Promise<Reply>): Handler {
    return async request => {
      const repository = repositoryOf(request)
      const id = parseUploadId(request.params['id'] ?? '')
      const own = blobs.repository(repository)
      try {
        return await handle({ request, repository, blobs: own, id })
      } catch (error) {
        if (failureOf(error).status !== 416) throw error
        const session = await own.status(id, sessionOf(request))
        const headers = sessionHeaders(repository, session, states, accountOf(request))
        const reply = errorReply(error)
        return { ...reply, headers: { ...reply.headers, ...headers } }
      }
    }
  }
}

/** A session is only there for the account that began it. */
function sessionOf(request: RegistryRequest): SessionOptions & { readonly signal: AbortSignal } {
  return { account: accountOf(request), signal: request.signal }
}

/** @throws DomainError `invalid`; the session stays, and the client may send the request again. */
function closingDigest({ query }: RegistryRequest): Digest {
  const text = query.get('digest')
  if (text !== null) return parseDigest(text)
  throw new DomainError(
    'invalid',
    'The request that closes an upload needs ?digest=<digest of the whole blob>.',
    {
      resource: 'digest',
    },
  )
}
