import type { Readable } from 'node:stream'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { Authenticator } from './authenticator.ts'
import type { ChosenCredentials } from './credentials/credentials.ts'
import { explanationIn } from './explanation.ts'
import { isRedirect } from './redirect.ts'
import { registryUrlOf } from './registry-address.ts'
import type { RegistryAnswer, RegistryDocument, RegistryTransport } from './registry-transport.ts'

export interface RegistryClientOptions {
  /** `host[:port]`. */
  readonly registry: string
  /** Speak plain HTTP. Loopback addresses are always spoken to plainly. */
  readonly plainHttp?: boolean | undefined
  readonly credentials?: ChosenCredentials | undefined
  /** May be shared: what is secret is in each request. */
  readonly transport: RegistryTransport
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined
}

export interface DocumentOptions extends Abortable {
  /** Bytes. */
  readonly limit: number
  readonly accept?: readonly string[] | undefined
}

/** What both kinds of answer have. */
type Head = Pick<RegistryAnswer, 'status' | 'header' | 'url'>

/**
 * Reads from one registry as one user, or as nobody: finds out how it wants to be authenticated to, and turns whatever
 * goes wrong into a DomainError that names the registry.
 */
export class RegistryClient {
  readonly registry: string
  readonly #base: URL
  readonly #chosen: ChosenCredentials | undefined
  readonly #transport: RegistryTransport
  readonly #authenticator: Authenticator

  constructor({ registry, plainHttp, credentials, transport, now }: RegistryClientOptions) {
    this.registry = registry
    this.#base = registryUrlOf(registry, plainHttp ?? false)
    this.#chosen = credentials
    this.#transport = transport
    const base = this.#base
    this.#authenticator = new Authenticator({
      registry,
      base,
      transport,
      credentials: credentials?.credentials,
      now,
    })
  }

  /**
   * A small document below `/v2/<repository>/`.
   * @throws DomainError `not_found`, `unauthorized`, `denied`, `unavailable`, `unsupported`, `too_large`.
   */
  async getDocument(
    repository: RepositoryName,
    path: string,
    { limit, accept, signal }: DocumentOptions,
  ): Promise<{ readonly bytes: Buffer; readonly contentType: string | undefined }> {
    const headers: Record<string, string> = accept === undefined ? {} : { accept: accept.join(', ') }
    const url = this.#urlOf(repository, path)
    const answer = await this.#authorized(repository, { signal }, authorization =>
      this.#transport.getDocument(url, { ...headers, ...authorization }, { limit, signal }),
    )
    if (!isSuccess(answer)) throw this.#failure(answer, answer.bytes, repository, path)
    return { bytes: answer.bytes, contentType: answer.header('content-type') }
  }

  /**
   * A blob's bytes as they come, not verified; their failure is a DomainError as well. The caller reads or destroys the
   * stream. @throws as {@link getDocument}.
   */
  async openBlob(repository: RepositoryName, digest: Digest, { signal }: Abortable = {}): Promise<Readable> {
    const path = `blobs/${digest}`
    const url = this.#urlOf(repository, path)
    const answer = await this.#authorized(repository, { signal }, authorization =>
      this.#transport.get(url, authorization, { signal }),
    )
    if (isSuccess(answer)) return answer.body
    answer.body.destroy()
    throw this.#failure(answer, Buffer.alloc(0), repository, path)
  }

  /**
   * Whether the repository has a blob that we may have. Where it would be redirected to is not asked: who is sent there
   * was let in. @throws as {@link getDocument}, but for `not_found`.
   */
  async hasBlob(repository: RepositoryName, digest: Digest, { signal }: Abortable = {}): Promise<boolean> {
    const path = `blobs/${digest}`
    const url = this.#urlOf(repository, path)
    const answer = await this.#authorized(repository, { signal }, authorization =>
      this.#transport.head(url, authorization, { signal }),
    )
    if (isSuccess(answer) || isRedirect(answer.status)) return true
    if (answer.status === 404) return false
    throw this.#failure(answer, Buffer.alloc(0), repository, path)
  }

  #urlOf(repository: RepositoryName, path: string): URL {
    return new URL(`/v2/${repository}/${path}`, this.#base)
  }

  /** Sends with what is known to be accepted; asked to authenticate, does so once and sends again. */
  async #authorized<Answer extends RegistryAnswer | RegistryDocument>(
    repository: RepositoryName,
    options: Abortable,
    send: (headers: Record<string, string>) => Promise<Answer>,
  ): Promise<Answer> {
    const used = await this.#authenticator.begin(repository, options)
    const first = await send(used === undefined ? {} : { authorization: used })
    // Only the registry may ask for credentials; a storage that it redirects to is somebody else.
    if (first.status !== 401 || first.url.origin !== this.#base.origin) return first
    if ('body' in first) first.body.destroy()
    const challenge = first.header('www-authenticate')
    const authorization = await this.#authenticator.renew(repository, challenge, used, options)
    if (authorization === undefined) throw this.#refused('unauthorized', repository)
    return await send({ authorization })
  }

  #failure(answer: Head, body: Uint8Array, repository: RepositoryName, path: string): DomainError {
    const { status, url } = answer
    const said = explanationIn(body)
    const where = url.origin === this.#base.origin ? '' : ` at ${url.origin}, where it redirects to,`
    const what = `${this.registry}/${repository} (${path})`
    const details = { resource: 'image', name: `${this.registry}/${repository}` } as const
    const registry = { resource: 'registry', name: this.registry } as const
    const sentence = `The registry ${this.registry}${where} answered ${status} for ${what}${said}`
    if (where === '' && status === 401) return this.#refused('unauthorized', repository)
    if (where === '' && status === 403) return this.#refused('denied', repository)
    if (status === 401 || status === 403) return new DomainError('denied', `${sentence}.`, details)
    if (status === 404)
      return new DomainError(
        'not_found',
        `The registry ${this.registry}${where} does not have ${what}${said}.`,
        details,
      )
    if (status === 429)
      return new DomainError(
        'unavailable',
        `The registry ${this.registry}${where} asks to slow down (429)${said}; try again later.`,
        registry,
      )
    return new DomainError(status >= 500 ? 'unavailable' : 'unsupported', `${sentence}.`, registry)
  }

  #refused(code: 'unauthorized' | 'denied', repository: RepositoryName): DomainError {
    return new DomainError(
      code,
      `The registry ${this.registry} refuses ${repository}: ${whyRefused(this.#chosen)}.`,
      { resource: 'image', name: `${this.registry}/${repository}` },
    )
  }
}

function whyRefused(chosen: ChosenCredentials | undefined): string {
  if (chosen === undefined) return 'no credentials were given; name a user who may pull it'
  const { name, credentials } = chosen
  if (credentials.kind === 'password')
    return `the user ${credentials.username} may not pull it, or the password is wrong (credentials ${name})`
  return `the token of the credentials ${name} may not pull it, or is no longer valid`
}

function isSuccess({ status }: Head): boolean {
  return status === 200
}
