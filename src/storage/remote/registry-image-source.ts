import type { Readable } from 'node:stream'
import pLimit from 'p-limit'
import type { Abortable } from '../abortable.ts'
import type { Descriptor } from '../descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../digest.ts'
import { parseImageConfig } from '../image-config.ts'
import { type ImageManifest, type Manifest, maxManifestBytes, parseManifest } from '../manifest.ts'
import { isManifestMediaType, mediaTypes } from '../media-types.ts'
import { type Platform, satisfies } from '../platform.ts'
import { formatReference, type ImageName, type Reference, referenceOf } from '../reference.ts'
import { openResumed } from './blob-reads.ts'
import { ClientCache } from './client-cache.ts'
import type { ConnectionOptions } from './connections.ts'
import { ConfiguredCredentials } from './credentials/configured-credentials.ts'
import type { CredentialStore } from './credentials/credentials.ts'
import { chooseChild, pairLayers } from './image-choice.ts'
import { notAnImage, notTheirs, wrongContent, wrongPlatform } from './image-source-errors.ts'
import type { ImageSource, ResolvedImage, ResolveOptions, SourceOptions } from './image-source.ts'
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

/** Requests for blobs that are only to be confirmed, at once. */
const confirmedAtOnce = 8

export interface RegistryImageSourceOptions {
  /** Registries (`host[:port]`) to speak plain HTTP to; loopback addresses always are. */
  readonly plainHttp?: readonly string[] | undefined
  /** Nobody's unless given. */
  readonly credentials?: CredentialStore | undefined
  readonly patience?: Partial<RegistryPatience> | undefined
  readonly connections?: ConnectionOptions | undefined
}

/** Images of registries that speak the distribution protocol. */
export class RegistryImageSource implements ImageSource {
  readonly #plainHttp: ReadonlySet<string>
  readonly #credentials: CredentialStore
  readonly #patience: RegistryPatience
  readonly #connections: ReturnType<typeof openConnections>
  readonly #clients = new ClientCache()

  constructor({ plainHttp = [], credentials, patience, connections }: RegistryImageSourceOptions = {}) {
    this.#plainHttp = new Set(plainHttp)
    this.#credentials = credentials ?? new ConfiguredCredentials()
    this.#patience = { ...defaultPatience, ...patience }
    this.#connections = openConnections(this.#patience, connections)
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
      reference = { kind: 'digest', digest: chooseChild(name, manifest, platform).digest }
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
