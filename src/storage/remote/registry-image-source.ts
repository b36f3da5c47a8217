import { Readable } from 'node:stream'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { chainIdsOf } from '../chain-id.ts'
import type { Descriptor } from '../descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../digest.ts'
import { type ImageConfig, parseImageConfig } from '../image-config.ts'
import {
  type ImageIndex,
  type ImageManifest,
  type Manifest,
  maxManifestBytes,
  parseManifest,
} from '../manifest.ts'
import { isManifestMediaType, manifestKindOf, mediaTypes } from '../media-types.ts'
import { formatPlatform, type Platform, satisfies } from '../platform.ts'
import {
  formatImageName,
  formatReference,
  type ImageName,
  type Reference,
  referenceOf,
} from '../reference.ts'
import type { ImageSource, ResolvedImage, ResolvedLayer, ResolveOptions } from './image-source.ts'
import { RegistryClient, readBounded } from './registry-client.ts'

/** Configs are small; the largest that build tools make are some hundred KiB. Bytes. */
const maxConfigBytes = 8 * 1024 * 1024
/** An index may name another index; more levels than this are nobody's image. */
const maxIndexDepth = 4

export interface RegistryImageSourceOptions {
  /** Registries (`host[:port]`) to speak plain HTTP to; loopback addresses always are. */
  readonly plainHttp?: readonly string[] | undefined
}

/** Images of registries that speak the distribution protocol. */
export class RegistryImageSource implements ImageSource {
  readonly #plainHttp: ReadonlySet<string>
  /** One client per registry, so that tokens and connections are shared. */
  readonly #clients = new Map<string, RegistryClient>()

  constructor({ plainHttp = [] }: RegistryImageSourceOptions = {}) {
    this.#plainHttp = new Set(plainHttp)
  }

  async resolve(name: ImageName, { platform, signal }: ResolveOptions): Promise<ResolvedImage> {
    const { manifest, digest } = await this.#findManifest(name, platform, { signal })
    const configBytes = await this.#fetchConfig(name, manifest.config, { signal })
    const config = parseImageConfig(configBytes)
    if (!satisfies(config, platform)) throw wrongPlatform(name, platform, [config])
    return {
      name,
      manifestDigest: digest,
      configDigest: manifest.config.digest,
      config,
      configBytes,
      layers: pairLayers(name, manifest, config),
    }
  }

  async openLayer(name: ImageName, layer: Descriptor, options?: Abortable): Promise<Readable> {
    const response = await this.#clientFor(name.registry).get(
      name.repository,
      `blobs/${layer.digest}`,
      options,
    )
    if (response.body === null) return Readable.from([])
    return Readable.fromWeb(response.body, { signal: options?.signal })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients.values()].map(client => client[Symbol.asyncDispose]()))
  }

  #clientFor(registry: string): RegistryClient {
    const known = this.#clients.get(registry)
    if (known !== undefined) return known
    const client = new RegistryClient({ registry, plainHttp: this.#plainHttp.has(registry) })
    this.#clients.set(registry, client)
    return client
  }

  async #findManifest(
    name: ImageName,
    platform: Platform,
    options: Abortable,
  ): Promise<{ manifest: ImageManifest; digest: Digest }> {
    let reference = referenceOf(name)
    for (let depth = 0; depth <= maxIndexDepth; depth += 1) {
      const { manifest, digest } = await this.#fetchManifest(name, reference, options)
      if (manifest.kind === 'image') return { manifest, digest }
      reference = { kind: 'digest', digest: choose(name, manifest, platform).digest }
    }
    throw notAnImage(name, `its indexes are nested more than ${maxIndexDepth} deep`)
  }

  async #fetchManifest(
    name: ImageName,
    reference: Reference,
    options: Abortable,
  ): Promise<{ manifest: Manifest; digest: Digest }> {
    const client = this.#clientFor(name.registry)
    const response = await client.get(name.repository, `manifests/${formatReference(reference)}`, {
      ...options,
      accept: Object.values(mediaTypes).filter(isManifestMediaType),
    })
    const bytes = await readBounded(response, maxManifestBytes, client.registry)
    const digest = digestOf(bytes, reference.kind === 'digest' ? algorithmOf(reference.digest) : 'sha256')
    if (reference.kind === 'digest' && digest !== reference.digest)
      throw wrongContent(name, `the manifest ${reference.digest}`, digest)
    return { manifest: parseManifest(bytes, response.headers.get('content-type') ?? undefined), digest }
  }

  async #fetchConfig(name: ImageName, { digest, size }: Descriptor, options: Abortable): Promise<Uint8Array> {
    if (size > maxConfigBytes) throw notAnImage(name, `its config has ${size} bytes`)
    const client = this.#clientFor(name.registry)
    const response = await client.get(name.repository, `blobs/${digest}`, options)
    const bytes = await readBounded(response, maxConfigBytes, client.registry)
    const actual = digestOf(bytes, algorithmOf(digest))
    if (actual !== digest) throw wrongContent(name, `the config ${digest}`, actual)
    return bytes
  }
}

/** The first child for the platform, as docker and containerd choose; an index says its order of preference. */
function choose(name: ImageName, index: ImageIndex, platform: Platform): Descriptor {
  const images = index.manifests.filter(({ mediaType }) => manifestKindOf(mediaType) !== undefined)
  const chosen = images.find(child => child.platform !== undefined && satisfies(child.platform, platform))
  // A child that does not say its platform is tried only when it is the one there is; its config then decides.
  const only = images.length === 1 && images[0]?.platform === undefined ? images[0] : undefined
  if (chosen !== undefined) return chosen
  if (only !== undefined) return only
  throw wrongPlatform(
    name,
    platform,
    images.flatMap(child => (child.platform === undefined ? [] : [child.platform])),
  )
}

function pairLayers(name: ImageName, manifest: ImageManifest, config: ImageConfig): ResolvedLayer[] {
  const { diffIds } = config
  if (diffIds.length !== manifest.layers.length)
    throw notAnImage(
      name,
      `it has ${manifest.layers.length} layers, but its config names ${diffIds.length} diff IDs`,
    )
  if (diffIds.length === 0) throw notAnImage(name, 'it has no layers')
  const chainIds = chainIdsOf(diffIds)
  return manifest.layers.flatMap((descriptor, index) => {
    const diffId = diffIds[index]
    const chainId = chainIds[index]
    return diffId === undefined || chainId === undefined ? [] : [{ descriptor, diffId, chainId }]
  })
}

function wrongPlatform(name: ImageName, wanted: Platform, offered: readonly Platform[]): DomainError {
  const choice = [...new Set(offered.map(formatPlatform))]
    .filter(text => text !== 'unknown/unknown')
    .join(', ')
  return new DomainError(
    'not_found',
    `${formatImageName(name)} has no image for ${formatPlatform(wanted)}; it has: ${choice || 'none that says its platform'}.`,
    { resource: 'platform', name: formatPlatform(wanted) },
  )
}

function notAnImage(name: ImageName, why: string): DomainError {
  return new DomainError('invalid', `${formatImageName(name)} cannot become a root filesystem: ${why}.`, {
    resource: 'image',
    name: formatImageName(name),
  })
}

function wrongContent(name: ImageName, what: string, actual: Digest): DomainError {
  return new DomainError(
    'digest_mismatch',
    `The registry ${name.registry} sent other bytes (${actual}) for ${what} of ${formatImageName(name)}.`,
    { resource: 'image', name: formatImageName(name) },
  )
}
