import { Agent, fetch, type Response } from 'undici'
import { DomainError, isAbort, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { defaultRegistry, type RepositoryName } from '../reference.ts'
import { type Challenge, parseChallenges } from './challenge.ts'

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
}

/** How long a registry may be silent before or within an answer, in milliseconds. */
const silenceMs = 60_000
const connectMs = 15_000
/** Error bodies and token answers are small; what is larger is not read. */
const maxSmallBodyBytes = 64 * 1024

/**
 * Reads from one registry: finds out how it wants to be authenticated to, keeps the token per repository, and
 * turns whatever goes wrong into a DomainError that names the registry.
 */
export class RegistryClient implements AsyncDisposable {
  readonly registry: string
  readonly #base: URL
  readonly #credentials: Credentials | undefined
  readonly #agent: Agent
  /** `Authorization` by repository; tokens are bound to their scope. */
  readonly #authorizations = new Map<RepositoryName, string>()

  constructor({ registry, plainHttp, credentials }: RegistryClientOptions) {
    this.registry = registry
    this.#base = baseUrlOf(registry, plainHttp ?? false)
    this.#credentials = credentials
    this.#agent = new Agent({
      connect: { timeout: connectMs },
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
    })
  }

  /**
   * GET below `/v2/<repository>/`. Answers only a success, whose body the caller reads or cancels.
   * @throws DomainError `not_found`, `unauthorized`, `denied`, `unavailable`, `unsupported`.
   */
  async get(
    repository: RepositoryName,
    path: string,
    options: Abortable & { readonly accept?: readonly string[] } = {},
  ): Promise<Response> {
    const url = new URL(`/v2/${repository}/${path}`, this.#base)
    let response = await this.#send(url, repository, options)
    if (response.status === 401) {
      const challenges = parseChallenges(response.headers.get('www-authenticate') ?? '')
      await response.body?.cancel()
      const authorization = await this.#authorize(challenges, repository, options)
      if (authorization === undefined) throw this.#refused('unauthorized', repository)
      this.#authorizations.set(repository, authorization)
      response = await this.#send(url, repository, options)
    }
    if (response.ok) return response
    throw await this.#failure(response, repository, path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #send(
    url: URL,
    repository: RepositoryName,
    { accept, signal }: Abortable & { readonly accept?: readonly string[] },
  ): Promise<Response> {
    const authorization = this.#authorizations.get(repository)
    return await this.#fetch(
      url,
      {
        ...(accept === undefined ? {} : { accept: accept.join(', ') }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      signal,
    )
  }

  async #fetch(
    url: URL,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    try {
      // Blobs are named by the digest of their bytes, so a transport that inflates them breaks them.
      return await fetch(url, {
        dispatcher: this.#agent,
        headers: { 'accept-encoding': 'identity', ...headers },
        signal: signal ?? null,
      })
    } catch (error) {
      if (isAbort(error) || isDomainError(error)) throw error
      throw new DomainError(
        'unavailable',
        `The registry ${this.registry} does not answer at ${url.origin}: ${causeOf(error)}.`,
        { resource: 'registry', name: this.registry },
        { cause: error },
      )
    }
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

  /** distribution, "Token Authentication Specification": GET the realm with service and scope. */
  async #fetchToken(
    { parameters }: Challenge,
    repository: RepositoryName,
    { signal }: Abortable,
  ): Promise<string | undefined> {
    const realm = parameters.get('realm')
    const url = realm !== undefined && URL.canParse(realm) ? new URL(realm) : undefined
    if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return undefined
    // Credentials that were given for an encrypted registry must not leave over a plain connection.
    const mayCarryCredentials = url.protocol === 'https:' || this.#base.protocol === 'http:'
    const service = parameters.get('service')
    if (service !== undefined) url.searchParams.set('service', service)
    url.searchParams.set('scope', `repository:${repository}:pull`)
    const authorization =
      this.#credentials !== undefined && mayCarryCredentials ? basic(this.#credentials) : undefined
    const response = await this.#fetch(url, authorization === undefined ? {} : { authorization }, signal)
    const text = await this.#smallBody(response)
    if (!response.ok) return undefined
    const token = tokenIn(text)
    return token === undefined ? undefined : `Bearer ${token}`
  }

  async #failure(response: Response, repository: RepositoryName, path: string): Promise<DomainError> {
    const said = explanationIn(await this.#smallBody(response))
    const what = `${this.registry}/${repository} (${path})`
    const details = { resource: 'image', name: `${this.registry}/${repository}` } as const
    switch (response.status) {
      case 404:
        return new DomainError(
          'not_found',
          `The registry ${this.registry} does not have ${what}${said}.`,
          details,
        )
      case 401:
        return this.#refused('unauthorized', repository)
      case 403:
        return this.#refused('denied', repository)
      case 429:
        return new DomainError(
          'unavailable',
          `The registry ${this.registry} asks to slow down (429)${said}; try again later.`,
          { resource: 'registry', name: this.registry },
        )
      default:
        return new DomainError(
          response.status >= 500 ? 'unavailable' : 'unsupported',
          `The registry ${this.registry} answered ${response.status} for ${what}${said}.`,
          { resource: 'registry', name: this.registry },
        )
    }
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

  async #smallBody(response: Response): Promise<string> {
    const bytes = await readBounded(response, maxSmallBodyBytes, this.registry)
    return bytes.toString('utf8')
  }
}

/** Reads a whole body of at most `limit` bytes. @throws DomainError `too_large`, `unavailable` when it breaks off. */
export async function readBounded(response: Response, limit: number, registry: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length
      if (size > limit)
        throw new DomainError(
          'too_large',
          `The registry ${registry} sent more than ${limit} bytes where a small document belongs.`,
          {
            resource: 'registry',
            name: registry,
          },
        )
      chunks.push(chunk)
    }
  } catch (error) {
    if (isAbort(error) || isDomainError(error)) throw error
    throw new DomainError(
      'unavailable',
      `The answer of the registry ${registry} broke off: ${causeOf(error)}.`,
      { resource: 'registry', name: registry },
      { cause: error },
    )
  }
  return Buffer.concat(chunks)
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

function tokenIn(text: string): string | undefined {
  const json = jsonObject(text)
  for (const name of ['token', 'access_token']) {
    const value = json[name]
    if (typeof value === 'string' && value !== '') return value
  }
  return undefined
}

/** The registry's own words, shortened, for people. */
function explanationIn(text: string): string {
  const errors = jsonObject(text)['errors']
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  if (typeof first !== 'object' || first === null) return ''
  const { code, message } = first as { code?: unknown; message?: unknown }
  const words = [code, message].filter(word => typeof word === 'string').join(': ')
  return words === '' ? '' : `; it says ${JSON.stringify(words.slice(0, 300))}`
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function causeOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return inner instanceof Error ? inner.message || inner.name : String(inner)
}
