import { isAbort, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { BlobProvider } from '../../../storage/blobs/blob-store.ts'
import type { Handler } from '../../handler.ts'
import { blobHeadReply, blobReply } from '../../handlers/blobs.ts'
import type { Reply } from '../../reply.ts'
import { digestParamOf, type RegistryRequest } from '../../request.ts'
import { Absences } from '../absences.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { absentUpstream } from '../upstream-failure.ts'
import type { Begun, BlobFetch } from './blob-fetch.ts'
import type { BlobFetchParts } from './blob-fetch-parts.ts'
import { BlobFetches } from './blob-fetches.ts'
import { GrowingProvider } from './growing-provider.ts'
import { PassedBlob } from './passed-blob.ts'
import type { BlobAnswer, ProxiedBlobs } from './proxied-blobs.ts'

export class FetchedBlobs implements ProxiedBlobs {
  readonly #parts: BlobFetchParts
  readonly #fetches: BlobFetches
  readonly #absences = new Absences()

  constructor(parts: BlobFetchParts) {
    this.#parts = parts
    this.#fetches = new BlobFetches(parts)
  }

  async get(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply> {
    const here = await unlessUnknown(ordinary, request)
    if (here !== undefined) return this.#answered(at, 'hit', here)
    return await this.#unlessAbsent(request, at, () => this.#getCold(request, at, ordinary))
  }

  async head(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply> {
    const here = await unlessUnknown(ordinary, request)
    return here ?? (await this.#unlessAbsent(request, at, () => blobHeadReply(this.#passed(at), request)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#fetches[Symbol.asyncDispose]()
  }

  /** What upstream has just said that it does not have, it is not asked for again: that would cost the database, too. */
  async #unlessAbsent(
    request: RegistryRequest,
    at: UpstreamRepository,
    answer: () => Promise<Reply>,
  ): Promise<Reply> {
    const digest = digestParamOf(request)
    const key = `${at.repository}@${digest}`
    if (this.#absences.has(key)) throw absentUpstream(at, 'blob', `The blob ${digest}`)
    try {
      return await answer()
    } catch (error) {
      if (isDomainError(error, 'not_found') && error.details.resource === 'blob')
        this.#absences.note(key, at.upstream.settings.absentSeconds)
      throw error
    }
  }

  async #getCold(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply> {
    const digest = digestParamOf(request)
    const until = performance.now() + this.#parts.settings.answerWithinMs
    const keeps = at.upstream.settings.store && this.#fetches.hasRoom
    for (const isKept of keeps ? [true, false] : [false]) {
      const { fetch, isNew } = this.#fetches.join(at, digest, isKept)
      const begun = await this.#begun(fetch, request)
      if (begun.kind === 'here')
        return this.#answered(at, begun.isLinked ? 'linked' : 'hit', await ordinary(request))
      const growing = await this.#fromGrowing(begun, fetch, request)
      if (growing !== undefined)
        return this.#answered(at, !isNew ? 'joined' : isKept ? 'fetched' : 'passed', growing)
      if (await isSoon(options => fetch.stored(options), until - performance.now(), request))
        return this.#answered(at, 'joined', await ordinary(request))
    }
    return this.#answered(at, 'passed', await blobReply(this.#passed(at), inOneRange(request)))
  }

  /** One that was over before this request came to it has nothing for it. */
  async #begun(fetch: BlobFetch, { signal }: RegistryRequest): Promise<Begun> {
    try {
      return await fetch.begun({ signal })
    } catch (error) {
      if (signal.aborted || !isAbort(error)) throw error
      return { kind: 'hidden' }
    }
  }

  /** Undefined where the growing copy has nothing for this request. */
  async #fromGrowing(begun: Begun, fetch: BlobFetch, request: RegistryRequest): Promise<Reply | undefined> {
    if (begun.kind !== 'growing' || !begun.growing.has(0)) return undefined
    const { growing } = begun
    const { answerWithinMs } = this.#parts.settings
    const provider = new GrowingProvider({ growing, kind: 'patient', goOn: fetch.goOn, answerWithinMs })
    try {
      return await blobReply(provider, request)
    } catch (error) {
      if (request.signal.aborted || !isAbort(error)) throw error
      return undefined
    }
  }

  #passed(at: UpstreamRepository): BlobProvider {
    const { settings, observer } = this.#parts
    return new PassedBlob(at, settings, (isComplete, bytes) =>
      observer?.fetched?.(at.upstream, isComplete ? 'not_kept' : 'failed', bytes),
    )
  }

  #answered({ upstream }: UpstreamRepository, answer: BlobAnswer, reply: Reply): Reply {
    this.#parts.observer?.answered?.(upstream, answer)
    return reply
  }
}

/** Of several ranges, each would have to be taken from the whole blob anew, so they are not heeded: RFC 9110, 14.2. */
function inOneRange(request: RegistryRequest): RegistryRequest {
  const { range, ...headers } = request.headers
  return range?.includes(',') === true ? { ...request, headers } : request
}

/** What the ordinary handler answers, unless the repository does not have the blob. */
async function unlessUnknown(ordinary: Handler, request: RegistryRequest): Promise<Reply | undefined> {
  try {
    return await ordinary(request)
  } catch (error) {
    if (isDomainError(error, 'not_found') && error.details.resource === 'blob') return undefined
    throw error
  }
}

/** The answer, if it comes in time; otherwise false. @throws the request's reason when its client leaves. */
async function isSoon(
  question: (options: Abortable) => Promise<boolean>,
  withinMs: number,
  { signal }: RegistryRequest,
): Promise<boolean> {
  const enough = new AbortController()
  const timer = setTimeout(() => enough.abort(), Math.max(0, withinMs))
  try {
    return await question({ signal: AbortSignal.any([signal, enough.signal]) })
  } catch (error) {
    signal.throwIfAborted()
    if (enough.signal.aborted) return false
    throw error
  } finally {
    clearTimeout(timer)
  }
}
