import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { findTag, readManifest } from '../fixtures/image/oci-layout.ts'
import { writeLayout } from '../fixtures/write-layout.ts'
import { type CountedUpstream, countUpstream } from './counted-upstream.ts'
import { startDockerRegistry } from './docker-registry.ts'
import { basic } from './known-identities.ts'
import { exec } from './process.ts'
import { manifestOf, RegistryClient } from './registry-client.ts'
import { dir, file, tar } from './tar.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** For `skipWithout`. */
export const hubPrograms: readonly string[] = ['docker-registry', 'skopeo']

export interface HubImage {
  readonly repository: string
  readonly digest: Digest
  /** Paths below `/v2/REPOSITORY/` of all that the image consists of, by digest: manifest, config, layers. */
  readonly parts: readonly string[]
}

/**
 * Debian's docker-registry in the part of Docker Hub, behind what counts what it is asked. What is below `secret/` is
 * only for the user `us`.
 */
export interface UpstreamHub extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly front: CountedUpstream
  /** Past what counts. */
  readonly client: RegistryClient
  /** An image of two layers that no other image has. @param layerBytes of the first one, random. */
  push(repository: string, tag: string, layerBytes?: number): Promise<HubImage>
  /** An index of one image for each architecture of Linux. */
  pushIndex(repository: string, tag: string, architectures: readonly string[]): Promise<HubIndex>
  /** An artifact that refers to what the tag names, found by the referrers tag: this registry has no API for it. */
  pushReferrer(image: HubImage, artifactType: string): Promise<HubImage>
  /** All that was asked for with GET since the last time, without tokens and `/v2/`; sorted. */
  gets(): string[]
}

export interface HubIndex {
  readonly repository: string
  readonly digest: Digest
  /** By architecture. */
  readonly images: ReadonlyMap<string, HubImage>
}

export async function startUpstreamHub(): Promise<UpstreamHub> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const registry = await startDockerRegistry(join(path, 'registry'))
  stack.defer(() => registry.stop())
  const front = stack.use(await countUpstream(registry.url))
  front.answers = ({ url = '', headers }, response) => {
    if (!url.startsWith('/v2/secret/') || headers.authorization === basic('us')) return false
    response.writeHead(401, { 'www-authenticate': 'Basic realm="hub"' }).end()
    return true
  }
  const client = new RegistryClient(registry.url)
  const { host: behind } = new URL(registry.url)
  let images = 0

  async function push(repository: string, tag: string, layerBytes = 2000): Promise<HubImage> {
    images += 1
    const layout = join(path, `layout-${images}`)
    await writeLayout(layout, {
      [tag]: [
        [tar(dir('etc'), file('etc/motd', 'hello'), file('etc/random', randomBytes(layerBytes)))],
        [tar(dir('srv'), file('srv/page', `${repository}:${tag} ${images}`))],
      ],
    })
    await exec('skopeo', [
      ...['copy', '--dest-tls-verify=false', '--preserve-digests'],
      ...[`oci:${layout}:${tag}`, `docker://${behind}/${repository}:${tag}`],
    ])
    const { digest } = await findTag(layout, tag)
    const manifest = await readManifest(layout, digest)
    if (manifest.kind !== 'image') throw new Error(`${repository}:${tag} is no image`)
    const blobs = [manifest.config, ...manifest.layers].map(blob => `blobs/${blob.digest}`)
    return { repository, digest, parts: [`manifests/${digest}`, ...blobs] }
  }

  async function putManifest(
    repository: string,
    reference: string,
    bytes: Buffer,
    type: string = mediaTypes.ociManifest,
  ): Promise<Digest> {
    const { status } = await client.putManifest(repository, reference, bytes, type)
    if (status !== 201) throw new Error(`${repository}:${reference}: ${status}`)
    return digestOf(bytes)
  }

  async function descriptorOf(repository: string, reference: string) {
    const headers = { accept: `${mediaTypes.ociManifest}, ${mediaTypes.ociIndex}` }
    const answer = await client.send('GET', `/v2/${repository}/manifests/${reference}`, { headers })
    if (answer.status !== 200) throw new Error(`${repository}:${reference}: ${answer.status}`)
    const mediaType = answer.headers['content-type'] ?? ''
    return { mediaType, digest: digestOf(answer.bytes), size: answer.bytes.length }
  }

  const indexOf = (manifests: readonly object[]): Buffer =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))

  const owned = stack.move()
  return {
    host: front.host,
    front,
    client,
    push,
    pushIndex: async (repository, tag, architectures) => {
      const children = new Map<string, HubImage>()
      const manifests: object[] = []
      for (const architecture of architectures) {
        const image = await push(repository, `${tag}-${architecture}`)
        children.set(architecture, image)
        const platform = { os: 'linux', architecture }
        manifests.push({ ...(await descriptorOf(repository, image.digest)), platform })
      }
      const digest = await putManifest(repository, tag, indexOf(manifests), mediaTypes.ociIndex)
      return { repository, digest, images: children }
    },
    pushReferrer: async ({ repository, digest: subject }, artifactType) => {
      const content = randomBytes(3000)
      await pushBlob(client, registry.url, repository, Buffer.from('{}'))
      await pushBlob(client, registry.url, repository, content)
      const bytes = manifestOf(Buffer.from('{}'), [content], {
        artifactType,
        subject: await descriptorOf(repository, subject),
      })
      const digest = await putManifest(repository, digestOf(bytes), bytes)
      const list = indexOf([{ ...(await descriptorOf(repository, digest)), artifactType }])
      await putManifest(repository, subject.replace(':', '-'), list, mediaTypes.ociIndex)
      const blobs = [Buffer.from('{}'), content].map(blob => `blobs/${digestOf(blob)}`)
      return { repository, digest, parts: [`manifests/${digest}`, ...blobs] }
    },
    gets: () =>
      front
        .take()
        .filter(line => line.startsWith('GET '))
        .sort(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What is asked when all of the image is fetched once, by digest. */
export function getsOf({ repository, parts }: HubImage): string[] {
  return parts.map(part => `GET /v2/${repository}/${part}`).sort()
}

async function pushBlob(client: RegistryClient, url: string, repository: string, bytes: Buffer) {
  const { headers } = await client.send('POST', `/v2/${repository}/blobs/uploads/`)
  const location = new URL(headers['location'] ?? '', url)
  location.searchParams.set('digest', digestOf(bytes))
  const { status } = await client.send('PUT', location.pathname + location.search, { body: bytes })
  if (status !== 201) throw new Error(`${repository}: ${status}`)
}
