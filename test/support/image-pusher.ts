import assert from 'node:assert/strict'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { isManifestMediaType, mediaTypes } from '../../src/storage/media-types.ts'
import { type Answer, RegistryClient, withQuery } from './registry-client.ts'

export interface PushedManifest {
  readonly digest: Digest
  readonly bytes: Buffer
  readonly mediaType: string
}

export interface ImageShape {
  /** OCI unless given. `oci-untyped` says its type by its shape alone. */
  readonly form?: 'docker' | 'oci' | 'oci-untyped' | undefined
  readonly layers: readonly Buffer[]
  readonly config?: Buffer | undefined
  /** More members of the manifest. */
  readonly more?: object | undefined
}

const acceptAll = Object.values(mediaTypes).filter(isManifestMediaType).join(', ')

/** Pushes to any registry, and reads back all that it serves. */
export class ImagePusher {
  readonly client: RegistryClient
  readonly #url: string

  constructor(url: string) {
    this.#url = url
    this.client = new RegistryClient(url)
  }

  /** POST, then one PUT, which every registry can. */
  async blob(repository: string, bytes: Buffer): Promise<Digest> {
    const digest = digestOf(bytes)
    const { status, headers } = await this.client.send('POST', `/v2/${repository}/blobs/uploads/`)
    assert.equal(status, 202)
    const { pathname, search } = new URL(String(headers['location']), this.#url)
    const put = await this.client.send('PUT', withQuery(pathname + search, 'digest', digest), { body: bytes })
    assert.equal(put.status, 201, put.bytes.toString())
    return digest
  }

  async image(repository: string, tag: string | undefined, shape: ImageShape): Promise<PushedManifest> {
    const { form = 'oci', layers, more = {} } = shape
    const config = shape.config ?? Buffer.from('{}')
    for (const blob of [config, ...layers]) await this.blob(repository, blob)
    const isDocker = form === 'docker'
    const type = isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest
    const configType = isDocker ? mediaTypes.dockerConfig : mediaTypes.ociConfig
    const layerType = isDocker
      ? 'application/vnd.docker.image.rootfs.diff.tar.gzip'
      : 'application/vnd.oci.image.layer.v1.tar+gzip'
    const body = {
      schemaVersion: 2,
      ...(form === 'oci-untyped' ? {} : { mediaType: type }),
      config: descriptor(configType, config),
      layers: layers.map(layer => descriptor(layerType, layer)),
      ...more,
    }
    return await this.manifest(repository, tag, Buffer.from(JSON.stringify(body)), type)
  }

  async index(
    repository: string,
    tag: string | undefined,
    children: readonly PushedManifest[],
    form: 'docker' | 'oci' | 'oci-untyped' = 'oci',
  ): Promise<PushedManifest> {
    const type = form === 'docker' ? mediaTypes.dockerManifestList : mediaTypes.ociIndex
    const body = {
      schemaVersion: 2,
      ...(form === 'oci-untyped' ? {} : { mediaType: type }),
      manifests: children.map(({ mediaType, bytes }, position) => ({
        ...descriptor(mediaType, bytes),
        platform: { os: 'linux', architecture: position === 0 ? 'amd64' : 'arm64' },
      })),
    }
    return await this.manifest(repository, tag, Buffer.from(JSON.stringify(body)), type)
  }

  async manifest(
    repository: string,
    tag: string | undefined,
    bytes: Buffer,
    mediaType: string,
  ): Promise<PushedManifest> {
    const digest = digestOf(bytes)
    const { status, bytes: answer } = await this.client.putManifest(
      repository,
      tag ?? digest,
      bytes,
      mediaType,
    )
    assert.equal(status, 201, answer.toString())
    return { digest, bytes, mediaType }
  }

  getManifest(repository: string, reference: string): Promise<Answer> {
    return this.client.send('GET', `/v2/${repository}/manifests/${reference}`, {
      headers: { accept: acceptAll },
    })
  }

  /** All repositories, in byte order. */
  async repositories(): Promise<readonly string[]> {
    const { bytes } = await this.client.send('GET', '/v2/_catalog?n=1000')
    return (JSON.parse(bytes.toString()) as { repositories: string[] }).repositories
  }

  async tags(repository: string): Promise<readonly string[]> {
    const { status, bytes } = await this.client.send('GET', `/v2/${repository}/tags/list`)
    if (status === 404) return []
    return (JSON.parse(bytes.toString()) as { tags: string[] | null }).tags?.sort() ?? []
  }

  /** Pulls every tag with all that is below it. Answers the type and the digest of whatever came, by where it is. */
  async inventory(): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    for (const repository of await this.repositories())
      for (const tag of await this.tags(repository)) await this.#pull(found, repository, tag)
    return found
  }

  async #pull(found: Map<string, string>, repository: string, reference: string): Promise<void> {
    const at = `${repository} ${reference}`
    if (found.has(at)) return
    const { status, headers, bytes } = await this.getManifest(repository, reference)
    assert.equal(status, 200, at)
    assert.equal(headers['docker-content-digest'], digestOf(bytes), at)
    found.set(at, `${headers['content-type']} ${digestOf(bytes)}`)
    const { manifests = [], layers = [], config } = JSON.parse(bytes.toString()) as Named
    for (const { digest } of manifests) await this.#pull(found, repository, digest)
    for (const { digest } of config === undefined ? layers : [config, ...layers]) {
      const place = `${repository} ${digest}`
      if (found.has(place)) continue
      const blob = await this.client.send('GET', `/v2/${repository}/blobs/${digest}`)
      assert.equal(blob.status, 200, place)
      assert.equal(digestOf(blob.bytes), digest, place)
      found.set(place, `blob of ${blob.bytes.length}`)
    }
  }
}

interface Named {
  readonly manifests?: readonly { readonly digest: string }[]
  readonly layers?: readonly { readonly digest: string }[]
  readonly config?: { readonly digest: string }
}

export function descriptor(
  mediaType: string,
  bytes: Buffer,
): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}
