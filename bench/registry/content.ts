import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { request } from 'undici'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'

/** What the measurements ask for, the same bytes in every contender. */
export interface Content {
  readonly manifest: Digest
  /** By size in MB. */
  readonly blobs: ReadonlyMap<number, Digest>
}

export const repository = 'bench/app'
export const megabyte = 1_000_000
export const blobSizes = [1, 10, 100] as const

const bytesBySize = new Map(blobSizes.map(size => [size, randomBytes(size * megabyte)] as const))

export async function pushContent(url: string): Promise<Content> {
  const blobs = new Map<number, Digest>()
  for (const [size, bytes] of bytesBySize) blobs.set(size, await pushBlob(url, repository, bytes))
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
  await pushBlob(url, repository, config)
  const descriptor = (mediaType: string, digest: Digest, size: number) => ({ mediaType, digest, size })
  const layers = [...blobs].map(([size, digest]) =>
    descriptor('application/vnd.oci.image.layer.v1.tar', digest, size * megabyte),
  )
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(mediaTypes.ociConfig, digestOf(config), config.length),
      layers,
    }),
  )
  await putManifest(url, repository, 'latest', manifest)
  return { manifest: digestOf(manifest), blobs }
}

/** Many tags of one repository, and many repositories of one tag, for the listings. */
export async function pushNames(url: string, count: number): Promise<void> {
  const config = Buffer.from('{}')
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: [],
    }),
  )
  const digest = await pushBlob(url, 'bench/tags', config)
  await inParallel(count, async index => {
    await putManifest(url, 'bench/tags', `tag-${String(index).padStart(6, '0')}`, manifest)
    const name = `names/repository-${String(index).padStart(6, '0')}`
    await expect(201, 'POST', `${url}/v2/${name}/blobs/uploads/?mount=${digest}&from=bench/tags`)
    await putManifest(url, name, 'latest', manifest)
  })
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}

/** POST, then one PUT of the whole blob. */
export async function pushBlob(url: string, name: string, bytes: Buffer): Promise<Digest> {
  const digest = digestOf(bytes)
  const location = await startUpload(url, name)
  await expect(201, 'PUT', `${location}&digest=${digest}`, bytes)
  return digest
}

/** POST, one PATCH without Content-Range, an empty PUT: as docker pushes. */
export async function streamBlob(url: string, name: string, bytes: Buffer, digest: Digest): Promise<void> {
  const location = await startUpload(url, name)
  const next = await expect(202, 'PATCH', location, bytes)
  await expect(201, 'PUT', `${next}&digest=${digest}`)
}

export async function putWhole(url: string, name: string, bytes: Buffer, digest: Digest): Promise<void> {
  await expect(201, 'PUT', `${await startUpload(url, name)}&digest=${digest}`, bytes)
}

export async function startUpload(url: string, name: string): Promise<string> {
  return await expect(202, 'POST', `${url}/v2/${name}/blobs/uploads/`)
}

export async function putManifest(
  url: string,
  name: string,
  reference: string,
  bytes: Buffer,
): Promise<void> {
  await expect(201, 'PUT', `${url}/v2/${name}/manifests/${reference}`, bytes, mediaTypes.ociManifest)
}

/** To the end of a copy, however long it takes. */
const patience = { headersTimeout: 0, bodyTimeout: 0 }

/** Answers the absolute Location, with a query to add to. */
export async function expect(
  status: number,
  method: 'POST' | 'PUT' | 'PATCH',
  url: string,
  body?: Buffer | Readable,
  type = 'application/octet-stream',
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const headers = { 'content-type': type, ...more }
  const response = await request(url, { method, body: body ?? null, headers, ...patience })
  const answer = await response.body.text()
  if (response.statusCode !== status) throw new Error(`${method} ${url}: ${response.statusCode} ${answer}`)
  const location = new URL(String(response.headers['location'] ?? '/'), url)
  if (location.search === '') location.searchParams.set('_', '')
  return location.href
}
