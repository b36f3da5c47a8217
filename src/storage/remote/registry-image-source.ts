import type { Readable } from 'node:stream'
import pLimit from 'p-limit'
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
import { openResumed } from './blob-reads.ts'
import { ClientCache } from './client-cache.ts'
import { ConfiguredCredentials } from './credentials/configured-credentials.ts'
import type { CredentialStore } from './credentials/credentials.ts'
import type {
  ImageSource,
  ResolvedImage,
  ResolvedLayer,
  ResolveOptions,
  SourceOptions,
} from './image-source.ts'
import { jsonDepthOf } from './json-depth.ts'
import { RegistryClient } from './registry-client.ts'
import {
  defaultPatience,
  openConnections,
  type RegistryPatience,
  RegistryTransport,
} from './registry-transport.ts'

/** Configs are small; the largest that build tools make are some hundred KiB. Bytes. */
const maxConfigBytes = 8 * 1024 * 1024
/** Real ones need 4; a config is handed on as JSON, which cannot be written at any depth. */
const maxConfigDepth = 100
/** An index may name another index; more levels than this are nobody's image. */
const maxIndexDepth = 4
/** Docker makes 127 at most, and every layer costs a snapshot. */
const maxLayers = 1000

/** Requests for blobs that are only to be confirmed, at once. */
const confirmedAtOnce = 8

export interface RegistryImageSourceOptions {
  /** Registries (`host[:port]`) to speak plain HTTP to; loopback addresses always are. */
  readonly plainHttp?: readonly string[] | undefined
  /** Nobody's unless given. */
  readonly credentials?: CredentialStore | undefined
  readonly patience?: Partial<RegistryPatience> | undefined
}

/** Images of registries that speak the distribution protocol. */
export class RegistryImageSource implements ImageSource {
  readonly #plainHttp: ReadonlySet<string>
  readonly #credentials: CredentialStore
  readonly #patience: RegistryPatience
  readonly #connections: ReturnType<typeof openConnections>
  readonly #clients = new ClientCache()

  constructor({ plainHttp = [], credentials, patience = {} }: RegistryImageSourceOptions = {}) {
    this.#plainHttp = new Set(plainHttp)
    this.#credentials = credentials ?? new ConfiguredCredentials()
    this.#patience = { ...defaultPatience, ...patience }
    this.#connections = openConnections(this.#patience)
  }

  async resolve(name: ImageName, { platform, ...options }: ResolveOptions): Promise<ResolvedImage> {
    const client = await this.#clientFor(name, options)
    const { manifest, digest } = await this.#findManifest(client, name, platform, options)
    const configBytes = await this.#fetchConfig(client, name, manifest.config, options)
    const config = parseImageConfig(configBytes)
    if (!satisfies(config, platform)) throw wrongPlatform(name, platform, [config])
    return {
      name,
      credentials: options.credentials,
      manifestDigest: digest,
      configDigest: manifest.config.digest,
      config,
      configBytes,
      layers: pairLayers(name, manifest, config),
    }
  }

  async openLayer(name: ImageName, layer: Descriptor, options: SourceOptions = {}): Promise<Readable> {
    const client = await this.#clientFor(name, options)
    const asked = { client, repository: name.repository }
    const { stream } = await openResumed(asked, layer.digest, { first: 0 }, { signal: options.signal })
    return stream
  }

  async confirmLayers(
    name: ImageName,
    layers: readonly Descriptor[],
    options: SourceOptions = {},
  ): Promise<void> {
    if (this.#credentials.isEmpty) return
    const client = await this.#clientFor(name, options)
    const digests = [...new Set(layers.map(({ digest }) => digest))]
    await pLimit(confirmedAtOnce).map(digests, async digest => {
      if (!(await client.hasBlob(name.repository, digest, options))) throw notTheirs(name, digest)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections.destroy()
  }

  async #clientFor(name: ImageName, { credentials, signal }: SourceOptions): Promise<RegistryClient> {
    const { registry } = name
    const chosen = await this.#credentials.choose(name, credentials, { signal })
    return this.#clients.get(
      registry,
      chosen,
      () =>
        new RegistryClient({
          registry,
          plainHttp: this.#plainHttp.has(registry),
          credentials: chosen,
          transport: new RegistryTransport(registry, this.#patience, this.#connections),
        }),
    )
  }

  async #findManifest(
    client: RegistryClient,
    name: ImageName,
    platform: Platform,
    options: Abortable,
  ): Promise<{ manifest: ImageManifest; digest: Digest }> {
    let reference = referenceOf(name)
    for (let depth = 0; depth <= maxIndexDepth; depth += 1) {
      const { manifest, digest } = await this.#fetchManifest(client, name, reference, options)
      if (manifest.kind === 'image') return { manifest, digest }
      reference = { kind: 'digest', digest: choose(name, manifest, platform).digest }
    }
    throw notAnImage(name, `its indexes are nested more than ${maxIndexDepth} deep`)
  }

  async #fetchManifest(
    client: RegistryClient,
    name: ImageName,
    reference: Reference,
    options: Abortable,
  ): Promise<{ manifest: Manifest; digest: Digest }> {
    const path = `manifests/${formatReference(reference)}`
    const { bytes, contentType } = await client.getDocument(name.repository, path, {
      ...options,
      limit: maxManifestBytes,
      accept: Object.values(mediaTypes).filter(isManifestMediaType),
    })
    const digest = digestOf(bytes, reference.kind === 'digest' ? algorithmOf(reference.digest) : 'sha256')
    if (reference.kind === 'digest' && digest !== reference.digest)
      throw wrongContent(name, `the manifest ${reference.digest}`, digest)
    return { manifest: parseManifest(bytes, contentType), digest }
  }

  async #fetchConfig(
    client: RegistryClient,
    name: ImageName,
    { digest, size }: Descriptor,
    options: Abortable,
  ): Promise<Uint8Array> {
    if (size > maxConfigBytes) throw notAnImage(name, `its config has ${size} bytes`)
    const { bytes } = await client.getDocument(name.repository, `blobs/${digest}`, {
      ...options,
      limit: maxConfigBytes,
    })
    const actual = digestOf(bytes, algorithmOf(digest))
    if (actual !== digest) throw wrongContent(name, `the config ${digest}`, actual)
    if (jsonDepthOf(bytes) > maxConfigDepth)
      throw notAnImage(name, `its config is nested more than ${maxConfigDepth} deep`)
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
  if (diffIds.length > maxLayers)
    throw notAnImage(name, `it has ${diffIds.length} layers; at most ${maxLayers} are taken`)
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

function notTheirs(name: ImageName, digest: Digest): DomainError {
  return new DomainError(
    'not_found',
    `The registry ${name.registry} does not have the layer ${digest} of ${formatImageName(name)}, so the one that is here is not used for it.`,
    { resource: 'image', name: formatImageName(name) },
  )
}

function wrongContent(name: ImageName, what: string, actual: Digest): DomainError {
  return new DomainError(
    'digest_mismatch',
    `The registry ${name.registry} sent other bytes (${actual}) for ${what} of ${formatImageName(name)}.`,
    { resource: 'image', name: formatImageName(name) },
  )
}
