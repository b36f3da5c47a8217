import type { Readable } from 'node:stream'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import { defaultRegistry, type RepositoryName } from '../reference.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import {
  defaultPatience,
  type RegistryAnswer,
  type RegistryDocument,
  type RegistryPatience,
  RegistryTransport,
} from './registry-transport.ts'
import { explanationIn, tokenIn, tokenUrlOf } from './token.ts'

export interface Credentials {
  readonly username: string
  readonly password: string
}

export interface RegistryClientOptions {
  /** `host[:port]`. */
  readonly registry: string
  /** Speak plain HTTP. Loopback addresses are always spoken to plainly. */
  readonly plainHttp?: boolean | undefined
  readonly credentials?: Credentials | undefined
  readonly patience?: Partial<RegistryPatience> | undefined
}

export interface DocumentOptions extends Abortable {
  /** Bytes. */
  readonly limit: number
  readonly accept?: readonly string[] | undefined
}

/** Error bodies and token answers are small; what is larger is not read. Bytes. */
const maxSmallBodyBytes = 64 * 1024

/** What both kinds of answer have. */
type Head = Pick<RegistryAnswer, 'status' | 'header' | 'url'>

/**
 * Reads from one registry: finds out how it wants to be authenticated to, keeps the token per repository, and
 * turns whatever goes wrong into a DomainError that names the registry.
 */
export class RegistryClient implements AsyncDisposable {
  readonly registry: string
  readonly #base: URL
  readonly #credentials: Credentials | undefined
  readonly #transport: RegistryTransport
  /** `Authorization` by repository; tokens are bound to their scope. */
  readonly #authorizations = new Map<RepositoryName, string>()

  constructor({ registry, plainHttp, credentials, patience }: RegistryClientOptions) {
    this.registry = registry
    this.#base = baseUrlOf(registry, plainHttp ?? false)
    this.#credentials = credentials
    this.#transport = new RegistryTransport(registry, { ...defaultPatience, ...patience })
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
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
    const headers = (): Record<string, string> => {
      const authorization = this.#authorizations.get(repository)
      return authorization === undefined ? {} : { authorization }
    }
    const first = await send(headers())
    // Only the registry may ask for credentials; a storage that it redirects to is somebody else.
    if (first.status !== 401 || first.url.origin !== this.#base.origin) return first
    if ('body' in first) first.body.destroy()
    const challenges = parseChallenges(first.header('www-authenticate') ?? '')
    const authorization = await this.#authorize(challenges, repository, options)
    if (authorization === undefined) throw this.#refused('unauthorized', repository)
    this.#authorizations.set(repository, authorization)
    return await send(headers())
  }

  async #authorize(
    challenges: readonly Challenge[],
    repository: RepositoryName,
    options: Abortable,
  ): Promise<string | undefined> {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer !== undefined) return await this.#fetchToken(bearer, repository, options)
    const wantsBasic = challenges.some(({ scheme }) => scheme === 'basic')
    return wantsBasic && this.#credentials !== undefined ? basic(this.#credentials) : undefined
  }

  async #fetchToken(
    challenge: Challenge,
    repository: RepositoryName,
    { signal }: Abortable,
  ): Promise<string | undefined> {
    const url = tokenUrlOf(challenge, repository)
    if (url === undefined) return undefined
    // Credentials that were given for an encrypted registry must not leave over a plain connection.
    const mayCarryCredentials = url.protocol === 'https:' || this.#base.protocol === 'http:'
    const headers: Record<string, string> =
      this.#credentials !== undefined && mayCarryCredentials
        ? { authorization: basic(this.#credentials) }
        : {}
    const options = { limit: maxSmallBodyBytes, signal }
    const { status, bytes } = await this.#transport.getDocument(url, headers, options)
    if (status === 429 || status >= 500) throw this.#unavailable(url, `answered ${status}`)
    if (status >= 400) return undefined
    const token = tokenIn(bytes)
    if (token === undefined) throw this.#unavailable(url, 'sent no token')
    return `Bearer ${token}`
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

  #unavailable(tokenService: URL, what: string): DomainError {
    return new DomainError(
      'unavailable',
      `The token service ${tokenService.origin} of the registry ${this.registry} ${what}; try again later.`,
      { resource: 'registry', name: this.registry },
    )
  }

  #refused(code: 'unauthorized' | 'denied', repository: RepositoryName): DomainError {
    const how =
      this.#credentials === undefined
        ? 'no credentials were given; name a user who may pull it'
        : `the user ${this.#credentials.username} may not pull it, or the password is wrong`
    return new DomainError(code, `The registry ${this.registry} refuses ${repository}: ${how}.`, {
      resource: 'image',
      name: `${this.registry}/${repository}`,
    })
  }
}

function isSuccess({ status }: Head): boolean {
  return status === 200
}

/** Docker Hub's name is not the address of its registry. */
const dockerHubHost = 'registry-1.docker.io'
const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/

function baseUrlOf(registry: string, plainHttp: boolean): URL {
  const host = registry === defaultRegistry ? dockerHubHost : registry
  return new URL(`${plainHttp || loopback.test(host) ? 'http' : 'https'}://${host}/`)
}

function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
