import { mkdir } from 'node:fs/promises'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { BlobInfo } from '../../blobs/blob-store.ts'
import { algorithmOf, digestOf } from '../../digest.ts'
import { artifactTypeOf, edgesOf, type Manifest, parseManifest } from '../../manifest.ts'
import type { StoredManifest } from '../../metadata/manifest-records.ts'
import { ProcessLock } from '../../process-lock.ts'
import type { Tag } from '../../reference.ts'
import { BlobFlights } from '../blob-flights.ts'
import { ifThere } from '../if-there.ts'
import type { OpenBlobFrom, PutBlobOptions, WritableRepository } from '../image-repository.ts'
import { fillBlob } from './fill-blob.ts'
import { converting } from './layout-errors.ts'
import { LayoutFiles } from './layout-files.ts'
import { findNamed, formatLayoutIndex, type LayoutIndex, withManifest, withoutTag } from './layout-index.ts'
import { makeLayout, refuseOtherFiles } from './layout-marker.ts'
import { LayoutReader } from './layout-reader.ts'
import { PartialBlob } from './partial-blob.ts'

/**
 * A directory with the OCI image layout that images are written to. One process may have it open for that at a time.
 * Nothing is deleted but names. Disposing it lets others in.
 */
export class LayoutRepository extends LayoutReader implements WritableRepository, AsyncDisposable {
  readonly #lock: ProcessLock
  readonly #flights = new BlobFlights()
  /** Changes of `index.json`, one after the other. */
  #lastChange: Promise<unknown> = Promise.resolve()

  private constructor(files: LayoutFiles, lock: ProcessLock) {
    super(files)
    this.#lock = lock
  }

  /**
   * Makes the directory and the layout where there is none.
   * @throws DomainError `busy` while another process writes to it, `conflict` for a directory with other things in it.
   */
  static override async open(directory: string, options: Abortable = {}): Promise<LayoutRepository> {
    options.signal?.throwIfAborted()
    await converting(`the directory ${directory}`, () => mkdir(directory, { recursive: true }))
    const files = await LayoutFiles.at(directory)
    await refuseOtherFiles(files)
    await converting(`the directory ${directory}`, () => files.makePrivate())
    const lock = ProcessLock.tryAcquire(files.lock)
    if (lock === undefined)
      throw new DomainError(
        'busy',
        `Another process is writing to ${files.label}; wait until it has ended.`,
        {
          resource: 'image',
          name: directory,
        },
      )
    try {
      await files.dropUnfinished()
      await makeLayout(files)
      return new LayoutRepository(files, lock)
    } catch (error) {
      lock.release()
      throw error
    }
  }

  async hasBlob(blob: BlobInfo, options?: Abortable): Promise<boolean> {
    const found = await ifThere(this.statBlob(blob.digest, options))
    return found?.size === blob.size
  }

  async mountBlob(_blob: BlobInfo, _from: unknown, { signal }: Abortable = {}): Promise<boolean> {
    signal?.throwIfAborted()
    return false
  }

  async putBlob(blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    await this.#flights.alone(blob.digest, () => this.#putAlone(blob, open, options), options)
  }

  async putManifest(
    manifest: StoredManifest,
    tags: readonly Tag[],
    { signal }: Abortable = {},
  ): Promise<void> {
    signal?.throwIfAborted()
    const parsed = this.#check(manifest)
    await this.#requireBlobs(manifest, parsed, { signal })
    await this.files.replace(this.files.blob(manifest.digest), manifest.bytes)
    const children = parsed.kind === 'index' ? parsed.manifests.map(({ digest }) => digest) : []
    await this.#change(async index => {
      const listed = new Set(index.manifests.map(({ digest }) => digest))
      const hidden = []
      for (const child of new Set(children))
        if (listed.has(child) && !(await this.isReferrer(child))) hidden.push(child)
      const { digest, mediaType, size } = manifest
      const artifactType = parsed.subject === undefined ? undefined : artifactTypeOf(parsed)
      const descriptor = { mediaType, digest, size, ...(artifactType === undefined ? {} : { artifactType }) }
      return withManifest(index, { descriptor, tags, children: hidden })
    })
  }

  async deleteTag(tag: Tag, { signal }: Abortable = {}): Promise<void> {
    signal?.throwIfAborted()
    await this.#change(async index => {
      if (findNamed(index, tag) !== undefined) return withoutTag(index, tag)
      throw new DomainError('not_found', `${this.label} has no tag ${tag}.`, { resource: 'tag', name: tag })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastChange
    this.#lock.release()
  }

  async #putAlone(blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions): Promise<void> {
    const { signal, onStored } = options
    if (await this.hasBlob(blob, { signal })) {
      onStored?.(blob.size, { kept: blob.size })
      return
    }
    const keptThere = await this.#fill(blob, open, options)
    // What was kept may have been another source's lie, or a disk's. Once more, then, with all of it from this one.
    if (!keptThere) await this.#fill(blob, open, options)
  }

  /** @returns false when what was kept of it was of no use: nothing is kept then. */
  async #fill(blob: BlobInfo, open: OpenBlobFrom, { signal, onStored }: PutBlobOptions): Promise<boolean> {
    await using partial = await PartialBlob.open(this.files, blob, { signal })
    const { kept } = partial
    try {
      await fillBlob(partial, blob, open, { signal, onBytes: offset => onStored?.(offset, { kept }) })
      await partial.commit()
    } catch (error) {
      if (!isDomainError(error, 'digest_mismatch', 'size_mismatch')) throw error
      await partial.discard()
      if (kept > 0) return false
      throw error
    }
    onStored?.(blob.size, { kept })
    return true
  }

  #check({ bytes, digest, mediaType }: StoredManifest): Manifest {
    const actual = digestOf(bytes, algorithmOf(digest))
    if (actual === digest) return parseManifest(bytes, mediaType)
    throw new DomainError('digest_mismatch', `The manifest ${digest} has the digest ${actual}.`, {
      resource: 'manifest',
      name: digest,
    })
  }

  async #requireBlobs({ digest }: StoredManifest, manifest: Manifest, options: Abortable): Promise<void> {
    const missing = []
    for (const { descriptor, required } of edgesOf(manifest))
      if (required && !(await this.hasBlob(descriptor, options))) missing.push(descriptor.digest)
    if (missing.length === 0) return
    throw new DomainError(
      'missing_reference',
      `The manifest ${digest} names ${missing.length} blobs that ${this.label} does not have, such as ${missing[0]}.`,
      { resource: 'manifest', name: digest, missing },
    )
  }

  async #change(work: (index: LayoutIndex) => Promise<LayoutIndex>): Promise<void> {
    const change = this.#lastChange.then(async () => {
      await this.files.replace(this.files.index, formatLayoutIndex(await work(await this.index())))
    })
    // How it ended is the business of whoever asked for it.
    this.#lastChange = change.catch(() => {})
    await change
  }
}
