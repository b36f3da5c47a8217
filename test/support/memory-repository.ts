import { Readable } from 'node:stream'
import { DomainError } from '../../src/errors.ts'
import type { Abortable } from '../../src/storage/abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions } from '../../src/storage/blobs/blob-store.ts'
import type { Descriptor } from '../../src/storage/descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../../src/storage/digest.ts'
import type {
  OpenBlobFrom,
  PutBlobOptions,
  WritableRepository,
} from '../../src/storage/images/image-repository.ts'
import { artifactTypeOf, edgesOf, parseManifest } from '../../src/storage/manifest.ts'
import type { ManifestInfo, StoredManifest } from '../../src/storage/metadata/manifest-records.ts'
import { selectRange } from '../../src/storage/objects/byte-range.ts'
import {
  formatReference,
  parseTag,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../../src/storage/reference.ts'
import type { ImageGraph } from './image-graph.ts'

/** What a repository was asked: `stat v1`, `blob sha256:… 0`, `put sha256:… v1,latest`. */
export type AskedFor = string

/** Images in memory, which writes down what it is asked, and fails when it is told to. */
export class MemoryRepository implements WritableRepository {
  readonly label: string
  readonly manifests = new Map<Digest, StoredManifest>()
  readonly tagged = new Map<Tag, Digest>()
  readonly blobs = new Map<Digest, Buffer>()
  /** What has come of blobs that are not whole yet. */
  readonly partials = new Map<Digest, Buffer>()
  /** Repositories at the same place, by name. */
  readonly siblings = new Map<RepositoryName, MemoryRepository>()
  asked: AskedFor[] = []
  /** Called before each answer; what it throws is the answer. */
  fault: (request: AskedFor) => void = () => {}
  /** Of blobs, what is sent in place of their bytes. */
  readonly lies = new Map<Digest, Buffer>()
  /** Bytes of blobs that were sent. */
  sent = 0

  constructor(label: string, graph?: ImageGraph, tags: Readonly<Record<string, StoredManifest>> = {}) {
    this.label = label
    for (const manifest of graph?.manifests.values() ?? []) this.manifests.set(manifest.digest, manifest)
    for (const [digest, bytes] of graph?.blobs ?? []) this.blobs.set(digest, bytes)
    for (const [tag, { digest }] of Object.entries(tags)) this.tagged.set(parseTag(tag), digest)
  }

  async stat(reference: Reference, options?: Abortable): Promise<ManifestInfo> {
    this.#ask(`stat ${formatReference(reference)}`, options)
    const { digest, mediaType, size } = this.#find(reference)
    return { digest, mediaType, size }
  }

  async get(reference: Reference, options?: Abortable): Promise<StoredManifest> {
    this.#ask(`get ${formatReference(reference)}`, options)
    return this.#find(reference)
  }

  async statBlob(digest: Digest, options?: Abortable): Promise<BlobInfo> {
    this.#ask(`statBlob ${digest}`, options)
    return { digest, size: this.#blob(digest).length }
  }

  async openBlob(digest: Digest, { range, signal }: OpenBlobOptions = {}): Promise<BlobBody> {
    this.#ask(`blob ${digest} ${range?.first ?? 0}`, { signal })
    const bytes = this.lies.get(digest) ?? this.#blob(digest)
    const { first, length } = selectRange(bytes.length, range, { resource: 'blob', name: digest })
    return {
      digest,
      size: this.#blob(digest).length,
      stream: this.#send(bytes.subarray(first, first + length)),
    }
  }

  async *tags(options?: Abortable): AsyncGenerator<Tag> {
    this.#ask('tags', options)
    yield* this.tagged.keys()
  }

  async *referrers(subject: Digest, options?: Abortable): AsyncGenerator<Descriptor> {
    this.#ask(`referrers ${subject}`, options)
    for (const { digest, mediaType, size, bytes } of this.manifests.values()) {
      const manifest = parseManifest(bytes, mediaType)
      if (manifest.subject?.digest === subject)
        yield { digest, mediaType, size, artifactType: artifactTypeOf(manifest) }
    }
  }

  async hasBlob({ digest }: BlobInfo, options?: Abortable): Promise<boolean> {
    this.#ask(`hasBlob ${digest}`, options)
    return this.blobs.has(digest)
  }

  async mountBlob(
    { digest }: BlobInfo,
    from: readonly RepositoryName[],
    options?: Abortable,
  ): Promise<boolean> {
    this.#ask(`mount ${digest} ${from.join(',')}`, options)
    for (const name of from) {
      const bytes = this.siblings.get(name)?.blobs.get(digest)
      if (bytes === undefined) continue
      this.blobs.set(digest, bytes)
      return true
    }
    return false
  }

  async putBlob(
    blob: BlobInfo,
    open: OpenBlobFrom,
    { signal, onStored }: PutBlobOptions = {},
  ): Promise<void> {
    this.#ask(`putBlob ${blob.digest}`, { signal })
    let bytes = this.partials.get(blob.digest) ?? Buffer.alloc(0)
    const kept = bytes.length
    for await (const chunk of kept < blob.size || kept === 0 ? await open(kept, { signal }) : []) {
      bytes = Buffer.concat([bytes, chunk as Uint8Array])
      this.partials.set(blob.digest, bytes)
      onStored?.(bytes.length, { kept })
    }
    this.partials.delete(blob.digest)
    if (digestOf(bytes, algorithmOf(blob.digest)) !== blob.digest)
      throw new DomainError('digest_mismatch', `The blob ${blob.digest} is another one.`, {
        resource: 'blob',
      })
    this.blobs.set(blob.digest, bytes)
    onStored?.(bytes.length, { kept })
  }

  async putManifest(manifest: StoredManifest, tags: readonly Tag[], options?: Abortable): Promise<void> {
    this.#ask(`put ${manifest.digest} ${tags.join(',')}`.trimEnd(), options)
    const edges = edgesOf(parseManifest(manifest.bytes, manifest.mediaType))
    const missing = edges.filter(({ required, descriptor }) => required && !this.blobs.has(descriptor.digest))
    if (missing.length > 0)
      throw new DomainError('missing_reference', 'Its blobs come first.', { resource: 'manifest' })
    this.manifests.set(manifest.digest, manifest)
    for (const tag of tags) this.tagged.set(tag, manifest.digest)
  }

  async deleteTag(tag: Tag, options?: Abortable): Promise<void> {
    this.#ask(`deleteTag ${tag}`, options)
    if (!this.tagged.delete(tag)) throw absent(tag)
  }

  /** Requests since this was asked last. */
  takeAsked(): readonly AskedFor[] {
    const asked = this.asked
    this.asked = []
    return asked
  }

  #ask(request: AskedFor, { signal }: Abortable = {}): void {
    signal?.throwIfAborted()
    this.asked.push(request)
    this.fault(request)
  }

  #find(reference: Reference): StoredManifest {
    const digest = reference.kind === 'tag' ? this.tagged.get(reference.tag) : reference.digest
    const manifest = digest === undefined ? undefined : this.manifests.get(digest)
    if (manifest === undefined) throw absent(formatReference(reference))
    return manifest
  }

  #blob(digest: Digest): Buffer {
    const bytes = this.blobs.get(digest)
    if (bytes === undefined) throw absent(digest)
    return bytes
  }

  #send(bytes: Buffer): Readable {
    return Readable.from(this.#pieces(bytes), { objectMode: false })
  }

  async *#pieces(bytes: Buffer): AsyncGenerator<Buffer> {
    const half = Math.ceil(bytes.length / 2)
    for (const piece of [bytes.subarray(0, half), bytes.subarray(half)]) {
      if (piece.length === 0) continue
      this.sent += piece.length
      yield Buffer.from(piece)
      this.fault('piece')
    }
  }
}

function absent(name: string): DomainError {
  return new DomainError('not_found', `${name} is not there.`, { resource: 'manifest', name })
}
