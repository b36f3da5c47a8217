import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions } from '../../blobs/blob-store.ts'
import type { Descriptor } from '../../descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../../digest.ts'
import { artifactTypeOf, type Manifest, maxManifestBytes, parseManifest } from '../../manifest.ts'
import type { ManifestInfo, StoredManifest } from '../../metadata/manifest-records.ts'
import { selectRange } from '../../objects/byte-range.ts'
import { FileRangeStream } from '../../objects/file-range-stream.ts'
import { formatReference, type Reference, type Tag } from '../../reference.ts'
import { referrersTagOf } from '../../referrers-tag.ts'
import { abortWith } from '../../streams/abort-with.ts'
import { ifThere } from '../if-there.ts'
import type { ReadableRepository } from '../image-repository.ts'
import { LayoutFiles } from './layout-files.ts'
import { findNamed, type LayoutIndex, maxIndexBytes, parseLayoutIndex, tagsIn } from './layout-index.ts'
import { checkMarker } from './layout-marker.ts'

/**
 * A directory with the OCI image layout (image-spec, image-layout.md), as a repository whose tags are the names in its
 * `index.json`. It is read as it is at each question: others may write to it meanwhile.
 */
export class LayoutReader implements ReadableRepository {
  readonly files: LayoutFiles

  constructor(files: LayoutFiles) {
    this.files = files
  }

  /** @throws DomainError `not_found` where there is no layout, `invalid` for one of another version. */
  static async open(directory: string, options: Abortable = {}): Promise<LayoutReader> {
    options.signal?.throwIfAborted()
    const files = await LayoutFiles.at(directory)
    await checkMarker(files)
    return new LayoutReader(files)
  }

  get label(): string {
    return this.files.label
  }

  async stat(reference: Reference, options?: Abortable): Promise<ManifestInfo> {
    const { digest, mediaType, size } = await this.get(reference, options)
    return { digest, mediaType, size }
  }

  async get(reference: Reference, { signal }: Abortable = {}): Promise<StoredManifest> {
    signal?.throwIfAborted()
    if (reference.kind === 'digest') return (await this.#read(reference.digest)).stored
    const entry = findNamed(await this.index(), reference.tag)
    if (entry === undefined) throw this.#notFound('manifest', formatReference(reference))
    const { stored } = await this.#read(entry.digest, entry.mediaType)
    if (stored.size !== entry.size)
      throw new DomainError(
        'size_mismatch',
        `The manifest ${entry.digest} of ${this.label} has ${stored.size} bytes where its index.json says ${entry.size}.`,
        { resource: 'manifest', name: entry.digest },
      )
    return stored
  }

  async statBlob(digest: Digest, { signal }: Abortable = {}): Promise<BlobInfo> {
    signal?.throwIfAborted()
    const { file, size } = await this.files.open(this.files.blob(digest))
    await file.close()
    return { digest, size }
  }

  async openBlob(digest: Digest, { range, signal }: OpenBlobOptions = {}): Promise<BlobBody> {
    signal?.throwIfAborted()
    const { file, size } = await this.files.open(this.files.blob(digest))
    try {
      const selected = selectRange(size, range, { resource: 'blob', name: digest })
      const stream = new FileRangeStream(file, digest, selected)
      return { digest, size, stream: abortWith(stream, signal) }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async *tags({ signal }: Abortable = {}): AsyncGenerator<Tag> {
    signal?.throwIfAborted()
    yield* tagsIn(await this.index())
  }

  /** Of the manifests in `index.json`, and of those in the index that the spec has for registries without referrers. */
  async *referrers(subject: Digest, { signal }: Abortable = {}): AsyncGenerator<Descriptor> {
    const index = await this.index()
    const seen = new Set<Digest>()
    for (const { digest } of [...index.manifests, ...(await this.#listedFor(subject, index))]) {
      signal?.throwIfAborted()
      if (seen.has(digest)) continue
      seen.add(digest)
      const found = await this.#find(digest)
      if (found?.manifest.subject?.digest === subject) yield descriptorOf(found)
    }
  }

  async index(): Promise<LayoutIndex> {
    return parseLayoutIndex(await this.files.read(this.files.index, maxIndexBytes), this.label)
  }

  /** Whether the manifest refers to another one. */
  async isReferrer(digest: Digest): Promise<boolean> {
    return (await this.#find(digest))?.manifest.subject !== undefined
  }

  async #listedFor(subject: Digest, index: LayoutIndex): Promise<readonly Descriptor[]> {
    const entry = findNamed(index, referrersTagOf(subject))
    const list = entry === undefined ? undefined : await this.#find(entry.digest)
    return list?.manifest.kind === 'index' ? list.manifest.manifests : []
  }

  /** Undefined for what is not there, or is no manifest that this can be said of. */
  async #find(digest: Digest): Promise<FoundManifest | undefined> {
    try {
      return await ifThere(this.#read(digest))
    } catch (error) {
      if (isDomainError(error, 'invalid', 'too_large', 'digest_mismatch')) return undefined
      throw error
    }
  }

  async #read(digest: Digest, mediaType?: string): Promise<FoundManifest> {
    const bytes = await this.files.read(this.files.blob(digest), maxManifestBytes)
    const actual = digestOf(bytes, algorithmOf(digest))
    if (actual !== digest)
      throw new DomainError(
        'digest_mismatch',
        `${this.label} has other bytes (${actual}) for the manifest ${digest}.`,
        { resource: 'manifest', name: digest },
      )
    const manifest = parseManifest(bytes, mediaType)
    return { manifest, stored: { digest, mediaType: manifest.mediaType, size: bytes.length, bytes } }
  }

  #notFound(resource: 'manifest' | 'blob', name: string): DomainError {
    return new DomainError('not_found', `${this.label} has no ${resource} ${name}.`, { resource, name })
  }
}

interface FoundManifest {
  readonly manifest: Manifest
  readonly stored: StoredManifest
}

function descriptorOf({ manifest, stored: { digest, mediaType, size } }: FoundManifest): Descriptor {
  const { annotations } = manifest
  return { mediaType, digest, size, artifactType: artifactTypeOf(manifest), annotations }
}
