import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { request } from 'undici'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { keepForScan } from './test-logs.ts'

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string | undefined>
  readonly bytes: Buffer
  /** Codes of the errors in the body, if it has any. */
  readonly codes: readonly string[]
}

export interface Call {
  readonly headers?: Record<string, string>
  readonly body?: Buffer | string | Readable
}

/** The plainest client: one request, the whole answer, nothing followed and nothing repeated. */
export class RegistryClient {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  async send(method: string, path: string, { headers = {}, body }: Call = {}): Promise<Answer> {
    const response = await request(this.#url + path, {
      // undici knows no PROPFIND and the like by type, but sends them.
      method: method as 'GET',
      headers: body === undefined ? { 'content-length': '0', ...headers } : headers,
      body: body ?? null,
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    const plain = Object.fromEntries(
      Object.entries(response.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : value,
      ]),
    )
    if (response.statusCode >= 400) keepForScan(`${JSON.stringify(plain)} ${bytes.toString()}`)
    return { status: response.statusCode, headers: plain, bytes, codes: codesOf(plain, bytes) }
  }

  /** Location of a new upload session. */
  async startUpload(repository: string): Promise<string> {
    const { status, headers } = await this.send('POST', `/v2/${repository}/blobs/uploads/`)
    assert.equal(status, 202)
    return String(headers['location'])
  }

  async pushBlob(repository: string, bytes: Buffer): Promise<Digest> {
    const digest = digestOf(bytes)
    const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`
    assert.equal((await this.send('POST', path, { body: bytes })).status, 201)
    return digest
  }

  /** Pushes an image of empty config and the given layers, under a tag. */
  async pushImage(repository: string, tag: string, ...layers: readonly Buffer[]): Promise<Digest> {
    const config = Buffer.from('{}')
    for (const blob of [config, ...layers]) await this.pushBlob(repository, blob)
    const body = manifestOf(config, layers)
    const { status } = await this.putManifest(repository, tag, body)
    assert.equal(status, 201)
    return digestOf(body)
  }

  async putManifest(
    repository: string,
    reference: string,
    body: Buffer,
    type: string = mediaTypes.ociManifest,
  ): Promise<Answer> {
    return this.send('PUT', `/v2/${repository}/manifests/${reference}`, {
      headers: { 'content-type': type },
      body,
    })
  }
}

/** An OCI image manifest, with more members when they are given. */
export function manifestOf(config: Buffer, layers: readonly Buffer[], more: object = {}): Buffer {
  const descriptor = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(mediaTypes.ociConfig, config),
      layers: layers.map(layer => descriptor('application/vnd.oci.image.layer.v1.tar', layer)),
      ...more,
    }),
  )
}

/** An OCI index of manifests with their types, with more members when they are given. */
export function indexOf(
  children: readonly (readonly [bytes: Buffer, mediaType: string])[],
  more: object = {},
): Buffer {
  const manifests = children.map(([bytes, mediaType]) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, ...more }))
}

/** A Location with another parameter, as clients add `digest`. */
export function withQuery(location: string, name: string, value: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(value)}`
}

function codesOf(headers: Record<string, string | undefined>, bytes: Buffer): string[] {
  if (headers['content-type'] !== 'application/json' || bytes.length === 0) return []
  const { errors } = JSON.parse(bytes.toString()) as { errors?: { code: string }[] }
  return (errors ?? []).map(({ code }) => code)
}
