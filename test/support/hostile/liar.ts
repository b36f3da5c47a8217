import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { parseDigest } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import type { StoredManifest } from '../../../src/storage/metadata/manifest-records.ts'
import { ImageGraph } from '../image-graph.ts'
import type { Pair } from '../test-authority.ts'

/** What a registry can be asked for. */
export type Place =
  | 'ping'
  | 'tag'
  | 'manifest'
  | 'blob'
  | 'tags'
  | 'referrers'
  | 'catalog'
  | 'token'
  | 'other'

export interface Asked {
  readonly place: Place
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Tag or digest, where there is one. */
  readonly name: string
  readonly authorization: string | undefined
  readonly range: string | undefined
  /** How many questions of this place there were before. */
  readonly before: number
  readonly socket: Socket
  /** What goes to the token service is a secret, too. */
  readonly text: string
}

/** What an honest registry would answer. */
export interface Truth {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** Answers in place of the truth. @returns false for the truth. */
export type Lie = (asked: Asked, response: ServerResponse, liar: Liar) => boolean

/** An image with all that may belong to one; of its own, whatever the others are. */
export interface LiarsImage {
  readonly graph: ImageGraph
  /** Of two images, under the tag `1`. */
  readonly index: StoredManifest
  readonly image: StoredManifest
  readonly referrer: StoredManifest
}

/** A registry with one image in each of its repositories, and a lie. It counts what it is asked, and what it sends. */
export class Liar implements AsyncDisposable {
  readonly image: LiarsImage
  readonly asked: Asked[] = []
  /** Bytes that went out. */
  sent = 0
  lie: Lie | undefined
  /** Set: whoever comes without this has to get it from the token service. */
  token: string | undefined
  /** Of the token service; its own unless given. */
  realm: string | undefined
  readonly #server: Server
  readonly #scheme: string
  #port = 0

  private constructor(name: string, tls: Pair | undefined) {
    this.image = liarsImage(name)
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#handle(request, response)
    }
    this.#scheme = tls === undefined ? 'http' : 'https'
    this.#server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle)
    this.#server.on('clientError', () => {})
    this.#server.on('connection', socket => socket.on('error', () => {}))
  }

  /** @param name of what it is about; its content is made of it. */
  static async start(name: string, lie?: Lie, tls?: Pair): Promise<Liar> {
    const liar = new Liar(name, tls)
    liar.lie = lie
    await new Promise<void>(resolve => liar.#server.listen(0, '127.0.0.1', resolve))
    liar.#port = (liar.#server.address() as AddressInfo).port
    return liar
  }

  get port(): number {
    return this.#port
  }

  /** `127.0.0.1:port`. */
  get host(): string {
    return `127.0.0.1:${this.#port}`
  }

  at(...places: readonly Place[]): Asked[] {
    return this.asked.filter(({ place }) => places.includes(place))
  }

  /** All that it was sent that is somebody's secret. */
  get authorizations(): string[] {
    return this.asked.flatMap(({ authorization }) => authorization ?? [])
  }

  truthOf(asked: Pick<Asked, 'place' | 'name' | 'range'>): Truth {
    const { graph, index, referrer } = this.image
    switch (asked.place) {
      case 'ping':
        return json({})
      case 'catalog':
        return json({ repositories: ['team/app'] })
      case 'tags':
        return json({ name: 'team/app', tags: ['1'] })
      case 'token':
        return json({ token: this.token ?? 'a-token-for-nobody', expires_in: 300 })
      case 'referrers': {
        const { mediaType, digest, size } = referrer
        const entry = { mediaType, digest, size, artifactType: 'application/vnd.example.signature' }
        const manifests = asked.name === index.digest ? [entry] : []
        return json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex)
      }
      case 'tag':
      case 'manifest': {
        const found =
          asked.name === '1'
            ? index
            : asked.place === 'tag'
              ? undefined
              : graph.manifests.get(parseDigest(asked.name))
        if (found === undefined) return missing
        const headers = { 'content-type': found.mediaType, 'docker-content-digest': found.digest }
        return { status: 200, headers, body: Buffer.from(found.bytes) }
      }
      case 'blob': {
        const body = graph.blobs.get(parseDigest(asked.name))
        if (body === undefined) return missing
        const headers = { 'content-type': 'application/octet-stream' }
        const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(asked.range ?? '') ?? []
        if (first === undefined) return { status: 200, headers, body }
        const part = body.subarray(
          Number(first),
          last === '' || last === undefined ? undefined : Number(last) + 1,
        )
        const range = `bytes ${first}-${Number(first) + part.length - 1}/${body.length}`
        return { status: 206, headers: { ...headers, 'content-range': range }, body: part }
      }
      case 'other':
        return missing
    }
  }

  answer(response: ServerResponse, method: string, { status, headers, body }: Truth): void {
    response.writeHead(status, { ...headers, 'content-length': String(body.length) })
    response.end(method === 'HEAD' ? undefined : body)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', socket } = request
    const before = socket.bytesWritten
    response.on('close', () => {
      this.sent += socket.bytesWritten - before
    })
    response.on('error', () => {})
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    } catch {
      return
    }
    const url = new URL(request.url ?? '', 'http://liar')
    const [place, name] = placeOf(url.pathname)
    const { authorization, range } = request.headers
    const asked: Asked = {
      ...{ place, name, method, path: url.pathname, query: url.searchParams, authorization, range, socket },
      before: this.asked.filter(one => one.place === place).length,
      text: Buffer.concat(chunks).toString('latin1'),
    }
    this.asked.push(asked)
    if (this.token !== undefined && place !== 'token' && authorization !== `Bearer ${this.token}`) {
      const realm = this.realm ?? `${this.#scheme}://${this.host}/token`
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="liar"` }).end()
    } else if (this.lie?.(asked, response, this) !== true) this.answer(response, method, this.truthOf(asked))
  }
}

const missing: Truth = { status: 404, headers: {}, body: Buffer.from('{"errors":[{"code":"UNKNOWN"}]}') }

function json(value: object, type = 'application/json'): Truth {
  return { status: 200, headers: { 'content-type': type }, body: Buffer.from(JSON.stringify(value)) }
}

function placeOf(path: string): [Place, string] {
  if (path === '/v2/') return ['ping', '']
  if (path === '/v2/_catalog') return ['catalog', '']
  if (path === '/token') return ['token', '']
  const [, kind, name = ''] = /^\/v2\/.+\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(path) ?? []
  if (kind === 'manifests') return [name.includes(':') ? 'manifest' : 'tag', name]
  if (kind === 'blobs') return ['blob', name]
  if (kind === 'tags' || kind === 'referrers') return [kind, name]
  return ['other', '']
}

function liarsImage(name: string): LiarsImage {
  const graph = new ImageGraph()
  const base = `${name} base `.repeat(Math.ceil(100_000 / name.length))
  const image = graph.image({ layers: [base, `${name} amd64`], config: JSON.stringify({ name }) })
  const other = graph.image({
    layers: [base, `${name} arm64`],
    config: JSON.stringify({ name, of: 'arm64' }),
  })
  const index = graph.index([
    { child: image, platform: { os: 'linux', architecture: 'amd64' } },
    { child: other, platform: { os: 'linux', architecture: 'arm64' } },
  ])
  const referrer = graph.image({
    layers: [`${name} signature`],
    subject: index,
    artifactType: 'application/vnd.example.signature',
  })
  return { graph, index, image, referrer }
}
