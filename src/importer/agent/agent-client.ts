import { type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { DomainError, errnoOf, isAbort } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { formatPlatform } from '../../storage/platform.ts'
import type { Clone, CloneName, CloneOptions } from '../chain/chain-store.ts'
import type {
  ClonedImage,
  ImageSummary,
  ImportEvent,
  ImportOptions,
  ImportRequest,
  ImportResult,
  ImportService,
  InspectedImage,
  RemovedImage,
} from '../import-service.ts'
import { fromWire, isWireError, type WireError } from './wire.ts'

/** A line of the answer to an import. */
type ImportRecord = ImportEvent | ({ readonly type: 'done' } & ImportResult) | WireError

/**
 * The agent's service, through its unix socket. There are no time limits: an import is silent while a large layer
 * ends, and the agent's death closes the socket.
 */
export class AgentClient implements ImportService {
  readonly #socket: string

  constructor(socket: string) {
    this.#socket = socket
  }

  async describe(options?: Abortable): Promise<string> {
    const answer = await this.#call('GET', '/v1', undefined, options)
    return (answer as { readonly description: string }).description
  }

  async import(
    { image, platform }: ImportRequest,
    { onEvent, signal }: ImportOptions = {},
  ): Promise<ImportResult> {
    const response = await this.#send(
      'POST',
      '/v1/images',
      { image, platform: formatPlatform(platform) },
      signal,
    )
    if (response.statusCode !== 200) throw await this.#failureIn(response)
    try {
      for await (const line of createInterface({ input: response })) {
        const record = recordIn(line)
        // The half line that a dying agent sends last.
        if (record === undefined) break
        if ('error' in record) throw fromWire(record)
        if (record.type === 'done') {
          const { type: _, ...result } = record
          return result
        }
        onEvent?.(record)
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (errnoOf(error) !== 'ECONNRESET') throw error
    }
    throw new DomainError(
      'unavailable',
      `The agent at ${this.#socket} stopped before the import of ${image} was done.`,
      { resource: 'image', name: image },
    )
  }

  async images(options?: Abortable): Promise<ImageSummary[]> {
    const images = (await this.#call('GET', '/v1/images', undefined, options)) as ImageSummary[]
    return images.map(image => ({ ...image, importedAt: new Date(image.importedAt) }))
  }

  async inspect(image: string, options?: Abortable): Promise<InspectedImage> {
    const path = `/v1/image?image=${encodeURIComponent(image)}`
    const answer = (await this.#call('GET', path, undefined, options)) as InspectedImage
    return { ...answer, importedAt: new Date(answer.importedAt) }
  }

  async removeImage(image: string, options?: Abortable): Promise<RemovedImage> {
    const path = `/v1/images?image=${encodeURIComponent(image)}`
    return (await this.#call('DELETE', path, undefined, options)) as RemovedImage
  }

  async clone(image: string, name: CloneName, { quota, signal }: CloneOptions = {}): Promise<ClonedImage> {
    const answer = await this.#call(
      'PUT',
      `/v1/clones/${encodeURIComponent(name)}`,
      { image, quota },
      { signal },
    )
    return withDate(answer as ClonedImage)
  }

  async clones(options?: Abortable): Promise<Clone[]> {
    return ((await this.#call('GET', '/v1/clones', undefined, options)) as Clone[]).map(withDate)
  }

  async destroyClone(name: CloneName, options?: Abortable): Promise<void> {
    await this.#call('DELETE', `/v1/clones/${encodeURIComponent(name)}`, undefined, options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  async #call(method: string, path: string, body: unknown, options?: Abortable): Promise<unknown> {
    const response = await this.#send(method, path, body, options?.signal)
    if (response.statusCode !== 200) throw await this.#failureIn(response)
    const answer = await this.#bodyOf(response)
    try {
      return JSON.parse(answer) as unknown
    } catch (cause) {
      throw this.#stranger(cause)
    }
  }

  async #failureIn(response: IncomingMessage): Promise<Error> {
    const body = await this.#bodyOf(response)
    try {
      const json: unknown = JSON.parse(body)
      if (isWireError(json)) return fromWire(json)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
    return this.#stranger(new Error(`it answered ${response.statusCode}: ${body.slice(0, 200)}`))
  }

  async #bodyOf(response: IncomingMessage): Promise<string> {
    try {
      return await text(response)
    } catch (error) {
      throw isAbort(error) ? error : this.#silent(error)
    }
  }

  #send(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sending = request({ socketPath: this.#socket, method, path, agent: false, signal }, resolve)
      sending.on('error', error => reject(isAbort(error) ? error : this.#silent(error)))
      sending.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  #stranger(cause: unknown): DomainError {
    return new DomainError(
      'unavailable',
      `What answers at ${this.#socket} is not an agent of Varve; name another socket with --socket.`,
      { resource: 'config', name: this.#socket },
      { cause },
    )
  }

  #silent(cause: unknown): DomainError {
    return new DomainError(
      'unavailable',
      `The agent at ${this.#socket} does not answer; \`varve agent\` starts one.`,
      { resource: 'config', name: this.#socket },
      { cause },
    )
  }
}

function recordIn(line: string): ImportRecord | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as ImportRecord) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Dates travel as text. */
function withDate<Value extends { readonly createdAt: Date }>(value: Value): Value {
  return { ...value, createdAt: new Date(value.createdAt) }
}
