import assert from 'node:assert/strict'
import { configuredRetentionPolicySchema } from '../../src/retention-policy.ts'
import { createLogger } from '../../src/log.ts'
import { Collector } from '../../src/registry/collect/collector.ts'
import {
  type RetentionSettings,
  type RetentionTick,
  RetentionTicker,
} from '../../src/registry/retention/retention-ticker.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { edgesOf, parseManifest } from '../../src/storage/manifest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { MemoryObjectStore } from '../../src/storage/objects/memory.ts'
import { parseTag, type RepositoryName } from '../../src/storage/reference.ts'
import type { OpenedMetadata, TestClock } from '../contract/metadata.ts'
import { openSqliteTwice } from './open-metadata.ts'
import { commitText, descriptorOf, newUpload } from './records.ts'

export interface PushedImage {
  readonly labels?: Readonly<Record<string, unknown>>
  readonly annotations?: Readonly<Record<string, string>>
  /** Of the config, in the place of one with labels. */
  readonly config?: Buffer
  readonly layer?: string
}

const layerType = 'application/vnd.oci.image.layer.v1.tar'

const settings: RetentionSettings = {
  schedule: undefined,
  window: undefined,
  readsLabels: true,
  tickMs: 60_000,
}

/** Content with its bytes, a clock that a test moves, and what drops and collects. */
export class RetentionWorld implements AsyncDisposable {
  readonly clock: TestClock
  readonly objects: MemoryObjectStore
  readonly #opened: OpenedMetadata

  private constructor(clock: TestClock, opened: OpenedMetadata) {
    this.clock = clock
    this.objects = new MemoryObjectStore(() => clock.time)
    this.#opened = opened
  }

  static async open(): Promise<RetentionWorld> {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    return new RetentionWorld(clock, await openSqliteTwice(() => clock.time))
  }

  get metadata(): Metadata {
    return this.#opened.metadata
  }

  get blobs(): ObjectBlobStore {
    const { objects, metadata } = this
    return new ObjectBlobStore({ objects, metadata, now: () => this.clock.time })
  }

  ticker(policies: readonly object[] = [], change: Partial<RetentionSettings> = {}, holder = 'me') {
    const { metadata, blobs } = this
    return new RetentionTicker({
      records: metadata,
      blobs,
      log: createLogger({ level: 'silent' }),
      source: {
        configured: policies.map((each, index) => {
          const { name, ...policy } = configuredRetentionPolicySchema.parse({ name: `p${index}`, ...each })
          return { name, policy }
        }),
        isExempt: repository => repository.startsWith('copies/'),
      },
      audit: async (entries, options) => await metadata.addAuditEntries(entries, options),
      holder,
      settings: { ...settings, ...change },
      now: () => this.clock.time,
    })
  }

  /** Applies policies to everything. */
  async run(policies: readonly object[]): Promise<RetentionTick> {
    const tick = await this.ticker(policies).tick({ runs: true })
    assert.equal(tick.outcome, 'done')
    return tick
  }

  async putBlob(repository: RepositoryName, bytes: Buffer): Promise<Digest> {
    const text = bytes.toString('latin1')
    if (Buffer.from(text).equals(bytes)) {
      const { digest, objectKey } = await commitText(this.metadata, repository, text, this.clock.time)
      await this.objects.put(objectKey, bytes)
      return digest
    }
    const upload = newUpload(repository, this.clock.time)
    await this.metadata.createUpload(upload)
    const blob = { ...upload, digest: digestOf(bytes), size: bytes.length, uploadId: upload.id }
    const { objectKey } = await this.metadata.commitBlob(blob)
    await this.objects.put(objectKey, bytes)
    return blob.digest
  }

  /** An image under tags, as a client pushes it. */
  async push(
    repository: RepositoryName,
    tags: readonly string[],
    { labels = {}, annotations, config, layer }: PushedImage = {},
  ): Promise<Digest> {
    const bytes =
      config ??
      Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', config: { Labels: labels } }))
    const configDigest = await this.putBlob(repository, bytes)
    const layers =
      layer === undefined
        ? []
        : [descriptorOf(await this.putBlob(repository, Buffer.from(layer)), layer.length, layerType)]
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptorOf(configDigest, bytes.length),
      layers,
      annotations,
    }
    return await this.#put(repository, tags, manifest, mediaTypes.ociManifest)
  }

  async pushIndex(
    repository: RepositoryName,
    tags: readonly string[],
    children: readonly Digest[],
    more: object = {},
  ): Promise<Digest> {
    const manifests = children.map(child => descriptorOf(child, 30, mediaTypes.ociManifest))
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, ...more }
    return await this.#put(repository, tags, index, mediaTypes.ociIndex)
  }

  async tagsOf(repository: RepositoryName): Promise<string[]> {
    return await this.metadata.listTags(repository, { limit: 20_000 })
  }

  async hasManifest(repository: RepositoryName, digest: Digest): Promise<boolean> {
    const holdings = await this.metadata.holdersOf(digest, 1000)
    return holdings.some(each => each.repository === repository && each.kind === 'manifest')
  }

  async expiryOf(repository: RepositoryName, tag: string): Promise<number | undefined> {
    const facts = await this.metadata.findTagFacts(repository, parseTag(tag))
    return facts?.expiresAt?.getTime()
  }

  async collect(): Promise<void> {
    const { blobs, metadata } = this
    const policy = { untaggedMs: undefined, referrers: 'delete' } as const
    const parts = { records: metadata, sweepGarbage: blobs.sweepGarbage.bind(blobs), holder: 'collector' }
    const collector = new Collector({
      ...parts,
      settings: { policy, batch: 500, tickMs: 60_000, window: undefined },
      now: () => this.clock.time,
    })
    for (;;) if ((await collector.tick()).outcome === 'done') return
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.close()
  }

  async #put(
    repository: RepositoryName,
    tags: readonly string[],
    manifest: object,
    mediaType: typeof mediaTypes.ociManifest | typeof mediaTypes.ociIndex,
  ): Promise<Digest> {
    const bytes = Buffer.from(JSON.stringify(manifest))
    const digest = digestOf(bytes)
    const parsed = parseManifest(bytes, mediaType)
    const { annotations } = parsed
    const edges = edgesOf(parsed, 'none')
    const stored = { digest, mediaType, size: bytes.length, bytes, edges, annotations }
    await this.metadata.putManifest(repository, { ...stored, tags: tags.map(parseTag) })
    return digest
  }
}
