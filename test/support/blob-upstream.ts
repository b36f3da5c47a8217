import { once } from 'node:events'
import { createServer, get, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DomainError } from '../../src/errors.ts'
import type { Abortable } from '../../src/storage/abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions } from '../../src/storage/blobs/blob-store.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import type { ReadableRepository } from '../../src/storage/images/image-repository.ts'

/** What a script does with a GET, instead of sending the bytes from `first` on. */
export type Script = (answer: ScriptedAnswer) => Promise<void> | void

export interface ScriptedAnswer {
  readonly response: ServerResponse
  readonly bytes: Buffer
  readonly first: number
  readonly last: number
  /** Sends and counts. */
  readonly send: (bytes: Buffer) => Promise<void>
}

/** A registry's blobs over HTTP, which counts what it is asked for and can be told to misbehave. */
export class BlobUpstream implements AsyncDisposable {
  readonly #blobs = new Map<string, Buffer>()
  readonly #server = createServer((from, to) => {
    this.#answer(from, to).catch(() => to.destroy())
  })
  gets = 0
  heads = 0
  /** Of bodies. */
  sentBytes = 0
  /** For the next GET, each once; then for all. */
  readonly scripts: Script[] = []
  script: Script | undefined
  /** Answered to everything, if set. */
  status: number | undefined

  static async start(): Promise<BlobUpstream> {
    const upstream = new BlobUpstream()
    upstream.#server.listen(0, '127.0.0.1')
    await once(upstream.#server, 'listening')
    return upstream
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** @param as the digest that it is given under, if that is not its own. */
  add(bytes: Buffer, as: Digest = digestOf(bytes)): Digest {
    this.#blobs.set(as, bytes)
    return as
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #answer(from: IncomingMessage, to: ServerResponse): Promise<void> {
    if (from.method === 'HEAD') this.heads += 1
    else this.gets += 1
    const bytes = this.#blobs.get(from.url?.slice(1) ?? '')
    const status = this.status ?? (bytes === undefined ? 404 : 200)
    if (status !== 200 || bytes === undefined) {
      to.writeHead(status).end()
      return
    }
    const [, begin] = /^bytes=(\d+)-/.exec(from.headers.range ?? '') ?? []
    const first = Number(begin ?? 0)
    to.setHeader('X-Size', bytes.length)
    to.setHeader('Content-Length', bytes.length - first)
    to.statusCode = begin === undefined ? 200 : 206
    if (from.method === 'HEAD') {
      to.end()
      return
    }
    const send = async (part: Buffer): Promise<void> => {
      for (let at = 0; at < part.length && !to.destroyed; at += 65_536) {
        const piece = part.subarray(at, at + 65_536)
        this.sentBytes += piece.length
        await new Promise<void>(resolve => to.write(piece, () => resolve()))
      }
    }
    const script = this.scripts.shift() ?? this.script ?? (answer => answer.send(bytes.subarray(first)))
    await script({ response: to, bytes, first, last: bytes.length - 1, send })
    to.end()
  }
}

/** The client's side of it. */
export class BlobUpstreamSource implements ReadableRepository {
  readonly label = 'upstream.test/acme/web'
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  async statBlob(digest: Digest, { signal }: Abortable = {}): Promise<BlobInfo> {
    const asked = request({
      ...this.#at(digest),
      method: 'HEAD',
      ...(signal === undefined ? {} : { signal }),
    })
    asked.end()
    const answer = await answerOf(asked)
    answer.resume()
    return { digest, size: this.#sizeIn(answer, digest) }
  }

  async openBlob(digest: Digest, { range, signal }: OpenBlobOptions = {}): Promise<BlobBody> {
    const headers = range === undefined ? {} : { Range: `bytes=${range.first}-${range.last}` }
    const answer = await answerOf(
      get({ ...this.#at(digest), headers, ...(signal === undefined ? {} : { signal }) }),
    )
    answer.on('error', () => {})
    try {
      return { digest, size: this.#sizeIn(answer, digest), stream: answer }
    } catch (error) {
      answer.destroy()
      throw error
    }
  }

  stat(): never {
    throw new Error('only blobs are asked for')
  }

  get(): never {
    throw new Error('only blobs are asked for')
  }

  tags(): never {
    throw new Error('only blobs are asked for')
  }

  referrers(): never {
    throw new Error('only blobs are asked for')
  }

  #at(digest: Digest) {
    return { host: '127.0.0.1', port: this.#port, path: `/${digest}`, agent: false as const }
  }

  #sizeIn({ statusCode, headers }: IncomingMessage, name: Digest): number {
    if (statusCode === 404) throw new DomainError('not_found', 'No such blob.', { resource: 'blob', name })
    if (statusCode === 429)
      throw new DomainError('throttled', 'Slow down.', { resource: 'registry', retryAfterSeconds: 7 })
    if (statusCode !== 200 && statusCode !== 206)
      throw new DomainError('unavailable', `It answers ${statusCode}.`, { resource: 'registry' })
    return Number(headers['x-size'])
  }
}

async function answerOf(asked: ReturnType<typeof request>): Promise<IncomingMessage> {
  try {
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    return answer
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'AbortError') throw cause
    throw new DomainError('unavailable', 'It does not answer.', { resource: 'registry' }, { cause })
  }
}
