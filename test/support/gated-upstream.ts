import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

/**
 * In front of a real registry: counts the bytes of each blob that it sends, holds them back where it is told, and may say
 * that it is asked too much.
 */
export interface GatedUpstream extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string
  /** All that was asked since the last time. */
  take(): UpstreamQuestion[]
  /** Bytes that were sent of the blob, by all answers together. */
  sentOf(digest: string): number
  /** Of all blobs. */
  readonly sent: number
  /** While it is so, every request is answered 429 with this `Retry-After`. */
  retryAfter: string | undefined
  /** Answers with bytes of the blob stop before this one of them, until {@link release}. */
  hold(digest: string, before: number): void
  /** Resolves when all bytes before those that are held have been sent. */
  reached(digest: string): Promise<void>
  /** Nothing is held any more. */
  release(): void
}

export interface UpstreamQuestion {
  /** `METHOD /path` */
  readonly line: string
  readonly status: number
  /** As it was asked. */
  readonly range: string | undefined
}

interface Held {
  readonly before: number
  readonly reached: PromiseWithResolvers<void>
  readonly released: PromiseWithResolvers<void>
}

export async function gateUpstream(url: string): Promise<GatedUpstream> {
  const questions: UpstreamQuestion[] = []
  const sentOf = new Map<string, number>()
  const held = new Map<string, Held>()
  const state: { retryAfter: string | undefined } = { retryAfter: undefined }

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = incoming
    const note = (status: number): void => {
      if (path !== '/v2/') questions.push({ line: `${method} ${path}`, status, range: headers.range })
    }
    if (state.retryAfter !== undefined) {
      note(429)
      response.writeHead(429, { 'retry-after': state.retryAfter, 'content-type': 'application/json' })
      response.end('{"errors":[{"code":"TOOMANYREQUESTS","message":"later"}]}')
      return
    }
    const onward = request(url + path, { method, headers: { ...headers, host: new URL(url).host } })
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>
    const [[upstream]] = await Promise.all([answered, pipeline(incoming, onward)])
    const { statusCode = 502 } = upstream
    note(statusCode)
    response.writeHead(statusCode, upstream.headers)
    const digest = statusCode < 300 && method === 'GET' ? /\/blobs\/([^/?]+)$/.exec(path)?.[1] : undefined
    if (digest === undefined) await pipeline(upstream, response)
    else await pipeline(countedBlob(digest, upstream, response), response)
  }

  async function* countedBlob(
    digest: string,
    upstream: IncomingMessage,
    response: ServerResponse,
  ): AsyncGenerator<Buffer> {
    let position = firstByteOf(upstream)
    const counted = (bytes: Buffer): Buffer => {
      position += bytes.length
      sentOf.set(digest, (sentOf.get(digest) ?? 0) + bytes.length)
      return bytes
    }
    for await (const chunk of upstream as AsyncIterable<Buffer>) {
      const at = held.get(digest)
      const now = at === undefined ? chunk.length : Math.max(0, Math.min(chunk.length, at.before - position))
      if (now > 0) yield counted(chunk.subarray(0, now))
      if (at === undefined || now === chunk.length) continue
      at.reached.resolve()
      await at.released.promise
      // Whoever waited for it may be gone.
      if (response.destroyed) return
      yield counted(chunk.subarray(now))
    }
  }

  const server = createServer((incoming, response) => {
    answer(incoming, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  const release = (): void => {
    for (const { released } of held.values()) released.resolve()
    held.clear()
  }
  return {
    host: `127.0.0.1:${address.port}`,
    take: () => questions.splice(0),
    sentOf: digest => sentOf.get(digest) ?? 0,
    get sent() {
      return [...sentOf.values()].reduce((sum, bytes) => sum + bytes, 0)
    },
    get retryAfter() {
      return state.retryAfter
    },
    set retryAfter(value) {
      state.retryAfter = value
    },
    hold: (digest, before) => {
      held.set(digest, { before, reached: Promise.withResolvers(), released: Promise.withResolvers() })
    },
    reached: async digest => {
      await held.get(digest)?.reached.promise
    },
    release,
    [Symbol.asyncDispose]: async () => {
      release()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** RFC 9110, 14.4: of a 206; else all of it. */
function firstByteOf({ headers }: IncomingMessage): number {
  return Number(/^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1] ?? 0)
}
