import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { DomainError } from '../../src/errors.ts'
import type { Abortable } from '../../src/storage/abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions } from '../../src/storage/blobs/blob-store.ts'
import type { Descriptor } from '../../src/storage/descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../../src/storage/digest.ts'
import type {
  ImageRegistry,
  OpenBlobFrom,
  WritableRepository,
} from '../../src/storage/images/image-repository.ts'
import { artifactTypeOf, parseManifest } from '../../src/storage/manifest.ts'
import type { ManifestInfo, StoredManifest } from '../../src/storage/metadata/manifest-records.ts'
import {
  parseRepositoryName,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../../src/storage/reference.ts'
import type { PullQuota } from '../../src/storage/remote/remote-registries.ts'
import type { ImageGraph } from './image-graph.ts'

export interface MemoryRequest {
  readonly repository: string
  readonly what:
    | 'head'
    | 'get'
    | 'blob'
    | 'blob-head'
    | 'tags'
    | 'referrers'
    | 'catalog'
    | 'mount'
    | 'put-blob'
    | 'put'
    | 'delete'
  /** A tag or a digest. */
  readonly name: string
}

/** What a repository of a {@link MemoryRegistry} holds. */
export class MemoryContent {
  readonly manifests = new Map<Digest, StoredManifest>()
  readonly blobs = new Map<Digest, Buffer>()
  readonly tags = new Map<string, Digest>()

  /** Everything of the graph. */
  take({ manifests, blobs }: ImageGraph): void {
    for (const [digest, manifest] of manifests) this.manifests.set(digest, manifest)
    for (const [digest, bytes] of blobs) this.blobs.set(digest, bytes)
  }

  tag(name: string, { digest }: Pick<StoredManifest, 'digest'>): void {
    this.tags.set(name, digest)
  }
}

/** A registry in memory that remembers what it was asked, and fails when it is told to. */
export class MemoryRegistry implements ImageRegistry<WritableRepository> {
  readonly label: string
  readonly content = new Map<string, MemoryContent>()
  /** Those that came to nothing, too. */
  requests: MemoryRequest[] = []
  pullQuota: PullQuota | undefined
  /** What it throws is what the request is answered with. */
  onRequest: (request: MemoryRequest) => void = () => {}

  constructor(label: string) {
    this.label = label
  }

  /** Made, if it is not there. */
  at(name: string): MemoryContent {
    const known = this.content.get(name)
    if (known !== undefined) return known
    const made = new MemoryContent()
    this.content.set(name, made)
    return made
  }

  repository(name: RepositoryName): WritableRepository {
    return new MemoryRepository(this, name)
  }

  async *repositories(): AsyncIterable<RepositoryName> {
    this.asked({ repository: '', what: 'catalog', name: '' })
    for (const name of this.content.keys()) yield parseRepositoryName(name)
  }

  asked(request: MemoryRequest): void {
    this.requests.push(request)
    this.onRequest(request)
  }

  /** How often each kind of request came since the last call. */
  takeCounts(): Partial<Record<MemoryRequest['what'], number>> {
    const counts: Partial<Record<MemoryRequest['what'], number>> = {}
    for (const { what } of this.requests) counts[what] = (counts[what] ?? 0) + 1
    this.requests = []
    return counts
  }
}

class MemoryRepository implements WritableRepository {
  readonly label: string
  readonly #registry: MemoryRegistry
  readonly #name: RepositoryName

  constructor(registry: MemoryRegistry, name: RepositoryName) {
    this.label = `${registry.label}/${name}`
    this.#registry = registry
    this.#name = name
  }

  async stat(reference: Reference, options?: Abortable): Promise<ManifestInfo> {
    const { digest, mediaType, size } = await this.#find('head', reference, options)
    return { digest, mediaType, size }
  }

  async get(reference: Reference, options?: Abortable): Promise<StoredManifest> {
    return await this.#find('get', reference, options)
  }

  async statBlob(digest: Digest, options?: Abortable): Promise<BlobInfo> {
    await this.#ask('blob-head', digest, options)
    return { digest, size: this.#blob(digest).length }
  }

  async openBlob(digest: Digest, { range, signal }: OpenBlobOptions = {}): Promise<BlobBody> {
    await this.#ask('blob', digest, { signal })
    const bytes = this.#blob(digest)
    const part = range === undefined ? bytes : bytes.subarray(range.first, range.last + 1)
    return { digest, size: bytes.length, stream: Readable.from([part]) }
  }

  async *tags(options?: Abortable): AsyncIterable<Tag> {
    await this.#ask('tags', '', options)
    const content = this.#registry.content.get(this.#name)
    if (content === undefined) throw this.#absent('repository', this.#name)
    yield* [...content.tags.keys()] as Tag[]
  }

  async *referrers(subject: Digest, options?: Abortable): AsyncIterable<Descriptor> {
    await this.#ask('referrers', subject, options)
    for (const { bytes, mediaType, digest, size } of this.#content?.manifests.values() ?? []) {
      const manifest = parseManifest(bytes, mediaType)
      if (manifest.subject?.digest !== subject) continue
      yield { mediaType, digest, size, artifactType: artifactTypeOf(manifest) }
    }
  }

  async hasBlob({ digest }: BlobInfo, options?: Abortable): Promise<boolean> {
    await this.#ask('blob-head', digest, options)
    return this.#content?.blobs.has(digest) ?? false
  }

  async mountBlob(
    { digest }: BlobInfo,
    from: readonly RepositoryName[],
    options?: Abortable,
  ): Promise<boolean> {
    await this.#ask('mount', digest, options)
    for (const name of from) {
      const bytes = this.#registry.content.get(name)?.blobs.get(digest)
      if (bytes === undefined) continue
      this.#registry.at(this.#name).blobs.set(digest, bytes)
      return true
    }
    return false
  }

  async putBlob({ digest, size }: BlobInfo, open: OpenBlobFrom, options: Abortable = {}): Promise<void> {
    await this.#ask('put-blob', digest, options)
    const bytes = await buffer(await open(0, options))
    if (bytes.length !== size) throw this.#refused('size_mismatch', digest)
    if (digestOf(bytes, algorithmOf(digest)) !== digest) throw this.#refused('digest_mismatch', digest)
    this.#registry.at(this.#name).blobs.set(digest, bytes)
  }

  async putManifest(manifest: StoredManifest, tags: readonly Tag[], options?: Abortable): Promise<void> {
    await this.#ask('put', tags[0] ?? manifest.digest, options)
    const content = this.#registry.at(this.#name)
    const parsed = parseManifest(manifest.bytes, manifest.mediaType)
    if (parsed.kind === 'image')
      for (const { digest } of [parsed.config, ...parsed.layers])
        if (!content.blobs.has(digest)) throw this.#refused('missing_reference', digest)
    content.manifests.set(manifest.digest, manifest)
    for (const tag of tags) content.tag(tag, manifest)
  }

  async deleteTag(tag: Tag, options?: Abortable): Promise<void> {
    await this.#ask('delete', tag, options)
    if (this.#content?.tags.delete(tag) !== true) throw this.#absent('tag', tag)
  }

  get #content(): MemoryContent | undefined {
    return this.#registry.content.get(this.#name)
  }

  async #find(
    what: 'head' | 'get',
    reference: Reference,
    options: Abortable | undefined,
  ): Promise<StoredManifest> {
    const name = reference.kind === 'tag' ? reference.tag : reference.digest
    await this.#ask(what, name, options)
    const digest = reference.kind === 'tag' ? this.#content?.tags.get(name) : reference.digest
    const manifest = digest === undefined ? undefined : this.#content?.manifests.get(digest)
    if (manifest === undefined) throw this.#absent('manifest', name)
    return manifest
  }

  #blob(digest: Digest): Buffer {
    const bytes = this.#content?.blobs.get(digest)
    if (bytes === undefined) throw this.#absent('blob', digest)
    return bytes
  }

  async #ask(what: MemoryRequest['what'], name: string, { signal }: Abortable = {}): Promise<void> {
    // Others get their turn, as they would over a connection.
    await new Promise(setImmediate)
    signal?.throwIfAborted()
    this.#registry.asked({ repository: this.#name, what, name })
  }

  #absent(resource: 'repository' | 'manifest' | 'tag' | 'blob', name: string): DomainError {
    return new DomainError('not_found', `${this.label} does not have ${name}.`, { resource, name })
  }

  #refused(code: 'size_mismatch' | 'digest_mismatch' | 'missing_reference', digest: Digest): DomainError {
    return new DomainError(code, `${this.label} does not take ${digest}.`, { resource: 'blob', name: digest })
  }
}
