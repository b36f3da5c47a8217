import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { type Access, pushAccess } from './access.ts'
import type { Ask } from './ask.ts'
import type { AskedRepository } from './blob-reads.ts'
import type { RegistryClient } from './registry-client.ts'
import type { RegistryDocument } from './registry-transport.ts'

/** What is read of an answer to a push. Bytes. */
export const maxPushAnswer = 64 * 1024

/** What a registry answers that has not begun a session, but has the blob already. */
export type Begun = { readonly session: UploadSession } | { readonly created: true }

export interface UploadSessionParts {
  readonly client: RegistryClient
  readonly access: Access
  readonly url: URL
  /** Where the blob goes, for errors. */
  readonly what: string
  readonly minChunkBytes: number
}

/** A blob's upload at a registry: where it goes on, which may change with each answer. */
export class UploadSession {
  readonly #client: RegistryClient
  readonly #access: Access
  readonly #what: string
  /** The least that a chunk may have, unless it is the last one (`OCI-Chunk-Min-Length`). */
  readonly minChunkBytes: number
  #url: URL

  constructor({ client, access, url, what, minChunkBytes }: UploadSessionParts) {
    this.#client = client
    this.#access = access
    this.#url = url
    this.#what = what
    this.minChunkBytes = minChunkBytes
  }

  /** @param more of the question: another method, body or headers. */
  ask(more: Partial<Ask>): Ask {
    return { access: this.#access, what: 'upload', path: this.#url, follow: false, ...more }
  }

  /** Sends, and goes on where the answer says. */
  async send(more: Partial<Ask>, { signal }: Abortable): Promise<RegistryDocument> {
    const answer = await this.#client.ask(this.ask(more), { limit: maxPushAnswer, signal })
    const location = answer.header('location')
    // Of a blob that is there, it is the blob's.
    if (location !== undefined && answer.status !== 201)
      this.#url = locationOf(this.#client, answer.url, location, this.#what)
    return answer
  }

  /** Ends the session with the blob. @param bytes those that were not sent yet. */
  async close(digest: Digest, bytes: Uint8Array, options: Abortable): Promise<RegistryDocument> {
    // Nothing of the query is written anew: it may be signed.
    const url = new URL(this.#url)
    url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`
    const headers = { 'content-type': 'application/octet-stream' }
    return await this.send({ method: 'PUT', path: url, body: bytes, headers }, options)
  }

  /** Bytes that the registry has; undefined when it does not know the session any more, or does not tell. */
  async offset(options: Abortable): Promise<number | undefined> {
    const answer = await this.send({ method: 'GET' }, options)
    if (answer.status !== 204 && answer.status !== 200 && answer.status !== 202) return undefined
    return offsetIn(answer.header('range'))
  }

  /** Never fails: what is not ended here runs out by itself. Not aborted, for it is asked when all else was. */
  async cancel(): Promise<void> {
    await this.send({ method: 'DELETE' }, { signal: AbortSignal.timeout(cancelMs) }).catch(() => {})
  }

  failure(answer: RegistryDocument): DomainError {
    return this.#client.failure(this.ask({}), answer, answer.bytes)
  }
}

const cancelMs = 5_000

/**
 * Begins an upload, or has the blob from where the registry has it.
 * @param query of the request: `mount` and `from`.
 * @throws DomainError as the client does.
 */
export async function beginUpload(
  { client, repository }: AskedRepository,
  query: { readonly mount?: Digest; readonly from?: RepositoryName },
  { signal }: Abortable,
): Promise<Begun> {
  const access = pushAccess(repository, query.from)
  const parameters = new URLSearchParams({ ...query }).toString()
  const path = `blobs/uploads/${parameters === '' ? '' : `?${parameters}`}`
  const ask: Ask = { access, what: 'upload', method: 'POST', path, body: new Uint8Array() }
  const answer = await client.ask(ask, { limit: maxPushAnswer, signal })
  if (answer.status === 201 && query.mount !== undefined) return { created: true }
  const location = answer.header('location')
  if (answer.status !== 202) throw client.failure(ask, answer, answer.bytes)
  const what = `${client.registry}/${repository}`
  const url = locationOf(client, answer.url, location, what)
  const least = Number(answer.header('oci-chunk-min-length') ?? 0)
  const minChunkBytes = Number.isSafeInteger(least) ? least : 0
  return { session: new UploadSession({ client, access: pushAccess(repository), url, what, minChunkBytes }) }
}

/** `Range: 0-4` says that there are 5 bytes; `0-0` says that there are none, or one: none is believed. */
export function offsetIn(range: string | undefined): number | undefined {
  const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(range?.trim() ?? '') ?? []
  if (last === undefined) return undefined
  return last === '0' ? 0 : Number(last) + 1
}

function locationOf(client: RegistryClient, from: URL, location: string | undefined, what: string): URL {
  const url = location === undefined ? undefined : client.resolve(location, from)
  if (url !== undefined && !(from.protocol === 'https:' && url.protocol === 'http:')) {
    // Another's credentials in an address are not ours to use.
    url.username = ''
    url.password = ''
    return url
  }
  throw new DomainError(
    'unsupported',
    `The registry ${client.registry} says of no address that can be used where to send a blob for ${what}.`,
    { resource: 'registry', name: client.registry },
  )
}
