import type { S3Client } from '@aws-sdk/client-s3'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import { adoptedNameOf } from '../keys.ts'
import { fromS3, type S3Subject } from './s3-errors.ts'
import type { S3Settings } from './s3-options.ts'

/** How a command is sent: `client.send(command, options)`. */
export type S3Call<Answer> = (
  client: S3Client,
  options: { readonly abortSignal?: AbortSignal },
) => Promise<Answer>

/** The bucket, and below it the prefix, that objects are in; every request to the store goes through here. */
export class S3Bucket {
  readonly name: string
  readonly settings: S3Settings
  readonly #client: S3Client
  readonly #patientClient: S3Client

  /** @param patientClient for what a store may think about for long. */
  constructor(client: S3Client, patientClient: S3Client, settings: S3Settings) {
    this.#client = client
    this.#patientClient = patientClient
    this.name = settings.bucket
    this.settings = settings
  }

  /** The store's name for an object. */
  nameOf(key: string): string {
    return adoptedNameOf(key) ?? this.settings.prefix + key
  }

  /** The key that the store has under this name, if it is below our prefix. */
  keyOf(name: string | undefined): string | undefined {
    const { prefix } = this.settings
    return name?.startsWith(prefix) ? name.slice(prefix.length) : undefined
  }

  about(key?: string): S3Subject {
    const { endpoint, region } = this.settings
    // Whatever else is in the URL is nobody's business.
    const store = endpoint === undefined ? `Amazon S3 in ${region}` : new URL(endpoint).origin
    return { bucket: this.name, store, key }
  }

  /**
   * Sends one command, as often as the SDK's rules for retrying want.
   *
   * @param key the object that it is about, if it is about one.
   * @throws DomainError; the signal's reason when aborted.
   */
  async call<Answer>(
    key: string | undefined,
    options: Abortable | undefined,
    send: S3Call<Answer>,
    client = this.#client,
  ): Promise<Answer> {
    try {
      return await this.attempt(key, options, send, client)
    } catch (error) {
      // Nobody who did not expect it can do anything about it.
      if (!isDomainError(error, 'conflict', 'unsupported')) throw error
      throw new DomainError('unavailable', error.message, error.details, { cause: error.cause })
    }
  }

  /** As {@link call}, for what a store may think about for minutes before it says anything. */
  callPatiently<Answer>(
    key: string | undefined,
    options: Abortable | undefined,
    send: S3Call<Answer>,
  ): Promise<Answer> {
    return this.call(key, options, send, this.#patientClient)
  }

  /** As {@link call}, for what may also fail with `conflict`, or with `unsupported` where the store cannot do it. */
  async attempt<Answer>(
    key: string | undefined,
    options: Abortable | undefined,
    send: S3Call<Answer>,
    client = this.#client,
  ): Promise<Answer> {
    const signal = options?.signal
    signal?.throwIfAborted()
    try {
      return await send(client, signal === undefined ? {} : { abortSignal: signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw fromS3(error, this.about(key))
    }
  }
}
