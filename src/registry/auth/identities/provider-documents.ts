import { createLocalJWKSet, type LocalJWKSet } from 'jose'
import * as z from 'zod'
import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import type { ProviderTransport } from './provider-transport.ts'

/** OpenID Connect Discovery 1.0, 3: what of it is used. */
const metadataSchema = z.object({
  issuer: z.string(),
  jwks_uri: z.url(),
  authorization_endpoint: z.url().optional(),
  token_endpoint: z.url().optional(),
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
  id_token_signing_alg_values_supported: z.array(z.string()).optional(),
  authorization_response_iss_parameter_supported: z.boolean().optional(),
})

export type ProviderMetadata = z.output<typeof metadataSchema>

const keysSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(200) })

/** What a provider says of itself. */
export interface ProviderDocuments {
  readonly metadata: ProviderMetadata
  readonly keys: LocalJWKSet
}

/** Milliseconds. */
export interface DocumentTimes {
  /** Documents are asked for again when they are older. */
  readonly freshMs: number
  /** While the provider does not answer, they are taken until they are as old as this. */
  readonly staleMs: number
  /** Between two attempts, because of keys that are not known. */
  readonly unknownKeyMs: number
  /** Between two attempts, when the last one has failed. */
  readonly retryMs: number
}

export const defaultDocumentTimes: DocumentTimes = Object.freeze({
  freshMs: 10 * 60_000,
  staleMs: 60 * 60_000,
  unknownKeyMs: 30_000,
  retryMs: 5_000,
})

interface Loaded {
  readonly documents: ProviderDocuments
  readonly at: number
}

/**
 * The documents of a provider, kept for a while. Strangers decide which keys are looked for, so an unknown one has them
 * read again only now and then; and however many wait for them, they are asked for once.
 */
export class ProviderDocumentCache {
  readonly #issuer: string
  readonly #transport: ProviderTransport
  readonly #times: DocumentTimes
  readonly #now: () => number
  #loaded: Loaded | undefined
  #loading: Promise<ProviderDocuments> | undefined
  /** When they were last asked for, and whether in vain. */
  #attempt: { readonly at: number; readonly failure?: Error } | undefined

  /** @param now milliseconds of a clock that never goes back. */
  constructor(
    issuer: string,
    transport: ProviderTransport,
    times: DocumentTimes = defaultDocumentTimes,
    now: () => number = () => performance.now(),
  ) {
    this.#issuer = issuer
    this.#transport = transport
    this.#times = times
    this.#now = now
  }

  /** @throws DomainError `unavailable`. */
  async get({ signal }: Abortable = {}): Promise<ProviderDocuments> {
    const loaded = this.#loaded
    const age = loaded === undefined ? Infinity : this.#now() - loaded.at
    if (loaded !== undefined && age < this.#times.freshMs) return loaded.documents
    try {
      return await orAbort(this.#load(), signal)
    } catch (error) {
      signal?.throwIfAborted()
      if (loaded !== undefined && age < this.#times.staleMs) return loaded.documents
      throw error
    }
  }

  /** After a key was looked for in vain. Undefined when it is too early to ask again. @throws as {@link get}. */
  async getNewer({ signal }: Abortable = {}): Promise<ProviderDocuments | undefined> {
    const last = this.#attempt
    const isTooEarly = last !== undefined && this.#now() - last.at < this.#times.unknownKeyMs
    if (isTooEarly && this.#loading === undefined) return undefined
    return await orAbort(this.#load(), signal)
  }

  #load(): Promise<ProviderDocuments> {
    if (this.#loading !== undefined) return this.#loading
    const last = this.#attempt
    // Still down, most likely: those who wait should not wait for the timeout each time.
    if (last?.failure !== undefined && this.#now() - last.at < this.#times.retryMs)
      return Promise.reject(last.failure)
    const loading = this.#attemptToLoad().finally(() => {
      this.#loading = undefined
    })
    loading.catch(() => {})
    this.#loading = loading
    return loading
  }

  /** Ends by the transport's timeouts: who waits may come and go. */
  async #attemptToLoad(): Promise<ProviderDocuments> {
    this.#attempt = { at: this.#now() }
    try {
      const documents = await this.#fetch()
      this.#loaded = { documents, at: this.#now() }
      return documents
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error))
      this.#attempt = { at: this.#now(), failure }
      throw failure
    }
  }

  async #fetch(): Promise<ProviderDocuments> {
    // Discovery 1.0, 4.1: a slash at the end of the issuer goes before its path is added.
    const found = await this.#transport.getJson(
      new URL(`${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
    )
    const metadata = metadataSchema.safeParse(found).data
    if (metadata === undefined)
      throw this.#transport.unavailable('its discovery document lacks what is needed')
    if (metadata.issuer !== this.#issuer)
      throw this.#transport.unavailable('its discovery document is that of another issuer')
    const keysUrl = new URL(metadata.jwks_uri)
    if (keysUrl.protocol !== 'https:' && keysUrl.protocol !== new URL(this.#issuer).protocol)
      throw this.#transport.unavailable('its keys are not to be had by https')
    const keys = keysSchema.safeParse(await this.#transport.getJson(keysUrl)).data
    if (keys === undefined) throw this.#transport.unavailable('its keys are no key set')
    return { metadata, keys: createLocalJWKSet(keys) }
  }
}
