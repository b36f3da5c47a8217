import type { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { type Access, pingAccess, pullAccess } from './access.ts'
import type { Ask, DocumentLimit, DocumentOptions } from './ask.ts'
import { Authenticator } from './authenticator.ts'
import type { ChosenCredentials } from './credentials/credentials.ts'
import { isRedirect } from './redirect.ts'
import { type FailedAnswer, type FailedRequest, failureOf, refusalOf } from './registry-failure.ts'
import { registryUrlOf } from './registry-address.ts'
import type {
  RegistryAnswer,
  RegistryDocument,
  RegistryTransport,
  TransportRequest,
} from './registry-transport.ts'
import type { RemoteRetries } from './remote-registries.ts'
import { noRetries, repeated } from './retries.ts'
import { defaultSleep, type Sleep, type Traffic } from './traffic.ts'

export interface RegistryClientOptions {
  /** `host[:port]`. */
  readonly registry: string
  /** Speak plain HTTP. Loopback addresses are always spoken to plainly. */
  readonly plainHttp?: boolean | undefined
  readonly credentials?: ChosenCredentials | undefined
  /** May be shared: what is secret is in each request. */
  readonly transport: RegistryTransport
  /** None unless given. */
  readonly retries?: RemoteRetries | undefined
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined
  readonly sleep?: Sleep | undefined
  /** What is sent as `Via` with what is asked of the registry; nothing unless given. */
  readonly via?: string | undefined
}

/** What `GET /v2/` answers is not looked at. Bytes. */
export const maxPingBytes = 64 * 1024

/**
 * Asks one registry as one user, or as nobody: finds out how it wants to be authenticated to, tries again what may be tried
 * again, and turns whatever goes wrong into a DomainError that names the registry.
 */
export class RegistryClient {
  readonly registry: string
  readonly #options: RegistryClientOptions
  readonly #base: URL
  readonly #chosen: ChosenCredentials | undefined
  readonly #transport: RegistryTransport
  readonly #authenticator: Authenticator
  readonly #retries: RemoteRetries
  readonly sleep: Sleep

  constructor(options: RegistryClientOptions, authenticator?: Authenticator) {
    const { registry, plainHttp, credentials, transport, retries, now, sleep } = options
    this.#options = options
    this.registry = registry
    this.#base = registryUrlOf(registry, plainHttp ?? false)
    this.#chosen = credentials
    this.#transport = transport
    this.#retries = retries ?? noRetries
    this.sleep = sleep ?? defaultSleep
    const base = this.#base
    this.#authenticator =
      authenticator ??
      new Authenticator({ registry, base, transport, credentials: credentials?.credentials, now })
  }

  /** The same one, with the same tokens, that says by whom it is asked for something. */
  passingOn(via: string): RegistryClient {
    return new RegistryClient({ ...this.#options, via }, this.#authenticator)
  }

  get traffic(): Traffic {
    return this.#transport.traffic
  }

  /**
   * A small answer, whatever its status, read whole.
   * @throws DomainError `unauthorized` when there is nothing to authenticate with, `unavailable`, `unsupported`, `denied`,
   * `too_large`.
   */
  async ask(ask: Ask, { limit, signal }: DocumentLimit): Promise<RegistryDocument> {
    return await this.#repeated(ask, { signal }, authorization =>
      this.#transport.read({ ...this.#requestOf(ask, authorization), signal }, limit),
    )
  }

  /** An answer, whatever its status, whose body the caller reads or destroys. @throws as {@link ask}. */
  async open(ask: Ask, { signal }: Abortable): Promise<RegistryAnswer> {
    return await this.#repeated(ask, { signal }, authorization =>
      this.#transport.open({ ...this.#requestOf(ask, authorization), signal }),
    )
  }

  /**
   * Says who we are before we are asked: a registry that answers everybody answers nobody in particular with less. Does
   * nothing where there is nothing to say, and where the registry never asks.
   */
  async introduce({ scopes }: Access, options: Abortable): Promise<void> {
    if (this.#chosen === undefined) return
    if ((await this.#authenticator.begin(scopes, options)) !== undefined) return
    const ping: Ask = { access: pingAccess, what: 'ping', path: '', follow: false }
    const request = { ...this.#requestOf(ping, undefined), signal: options.signal }
    const answer = await this.#transport.read(request, maxPingBytes)
    if (answer.status !== 401) return
    await this.#authenticator.renew(scopes, answer.header('www-authenticate'), undefined, options)
  }

  /** What an answer that is no success means. */
  failure(ask: Ask, answer: FailedAnswer, body: Uint8Array = Buffer.alloc(0)): DomainError {
    return failureOf(this.#failed(ask), answer, body)
  }

  /** Where in the registry something is, by what it says of it: relative to `from`, where that is given. */
  resolve(location: string, from: URL = this.#base): URL | undefined {
    if (!URL.canParse(location, from.href)) return undefined
    const url = new URL(location, from)
    // What does not know of the TLS in front of it calls itself by http.
    if (url.hostname === this.#base.hostname && url.protocol === 'http:' && this.#base.protocol === 'https:')
      return new URL(url.pathname + url.search, this.#base)
    return ['http:', 'https:'].includes(url.protocol) ? url : undefined
  }

  isOwn(url: URL): boolean {
    return url.origin === this.#base.origin
  }

  /**
   * A small document below `/v2/<repository>/`.
   * @throws DomainError `not_found`, `unauthorized`, `denied`, `unavailable`, `throttled`, `unsupported`, `too_large`.
   */
  async getDocument(
    repository: RepositoryName,
    path: string,
    { accept, ...options }: DocumentOptions,
  ): Promise<{ readonly bytes: Buffer; readonly contentType: string | undefined }> {
    const headers = accept === undefined ? {} : { accept: accept.join(', ') }
    const what = path.startsWith('blobs/') ? 'blob' : 'manifest'
    const ask: Ask = { access: pullAccess(repository), what, path, headers }
    const answer = await this.ask(ask, options)
    if (answer.status !== 200) throw this.failure(ask, answer, answer.bytes)
    return { bytes: answer.bytes, contentType: answer.header('content-type') }
  }

  /**
   * Whether the repository has a blob that we may have. Where it would be redirected to is not asked: who is sent there
   * was let in. @throws as {@link getDocument}, but for `not_found`.
   */
  async hasBlob(
    repository: RepositoryName,
    digest: Digest,
    { signal }: Abortable = {},
    access: Access = pullAccess(repository),
  ): Promise<boolean> {
    const ask: Ask = { access, what: 'blob', method: 'HEAD', path: `blobs/${digest}` }
    const answer = await this.ask(ask, { limit: 0, signal })
    if (answer.status === 200 || isRedirect(answer.status)) return true
    if (answer.status === 404) return false
    throw this.failure(ask, answer)
  }

  #requestOf(ask: Ask, authorization: string | undefined): TransportRequest {
    const { access, what, path, method, headers, body, stream, follow } = ask
    const { via } = this.#options
    const below = access.repository === undefined ? '' : `${access.repository}/`
    return {
      url: path instanceof URL ? path : new URL(`/v2/${below}${path}`, this.#base),
      registry: this.#base,
      what,
      method,
      headers: {
        ...headers,
        ...(via !== undefined && { via }),
        ...(authorization !== undefined && { authorization }),
      },
      body: stream ?? body,
      follow: follow ?? (method === undefined || method === 'GET'),
    }
  }

  async #repeated<Answer extends RegistryAnswer | RegistryDocument>(
    ask: Ask,
    options: Abortable,
    send: (authorization: string | undefined) => Promise<Answer>,
  ): Promise<Answer> {
    const retries = ask.stream === undefined ? this.#retries : noRetries
    return await repeated(() => this.#authorized(ask, options, send), retries, this.sleep, options)
  }

  /** Sends with what is known to be accepted; asked to authenticate, does so once and sends again. */
  async #authorized<Answer extends RegistryAnswer | RegistryDocument>(
    ask: Ask,
    options: Abortable,
    send: (authorization: string | undefined) => Promise<Answer>,
  ): Promise<Answer> {
    // Elsewhere we are nobody.
    if (ask.path instanceof URL && !this.isOwn(ask.path)) return await send(undefined)
    const { scopes } = ask.access
    const used = await this.#authenticator.begin(scopes, options)
    const first = await send(used)
    // Only the registry may ask for credentials; a storage that it redirects to is somebody else.
    if (first.status !== 401 || !this.isOwn(first.url) || ask.stream !== undefined) return first
    if ('body' in first) first.body.destroy()
    const challenge = first.header('www-authenticate')
    const authorization = await this.#authenticator.renew(scopes, challenge, used, options)
    if (authorization === undefined) throw refusalOf(this.#failed(ask), 'unauthorized')
    return await send(authorization)
  }

  #failed({ access, path }: Ask): FailedRequest {
    // An upload's address may have a secret in its query.
    const shown = path instanceof URL ? path.pathname : path
    return { registry: this.registry, base: this.#base, chosen: this.#chosen, access, path: shown }
  }
}
