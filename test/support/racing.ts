import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../src/errors.ts'
import type { Digest } from '../../src/storage/digest.ts'
import type { StoredBlob } from '../../src/storage/metadata/blob-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { newObjectKey, type ObjectKey } from '../../src/storage/objects/keys.ts'
import { parseRepositoryName, type RepositoryName } from '../../src/storage/reference.ts'
import type { TestClock } from '../contract/metadata.ts'
import { imageManifest, newUpload } from './records.ts'

/** What tests need that race clients against those who take things away. */
export class Racing {
  readonly #clock: TestClock
  /** Keys whose objects may be gone. */
  readonly #deleted = new Set<ObjectKey>()
  #repositories = 0
  #collectMs = 10

  constructor(clock: TestClock) {
    this.#clock = clock
  }

  freshOf(tenant: string): RepositoryName {
    this.#repositories += 1
    return parseRepositoryName(`${tenant}/r${this.#repositories}`)
  }

  /** Whatever may be deleted counts as deleted. */
  async sweep(metadata: Metadata): Promise<void> {
    for (const key of await metadata.listGarbage(1000)) this.#deleted.add(key)
  }

  assertReadable(blob: StoredBlob): void {
    assert.ok(!this.#deleted.has(blob.objectKey), `${blob.digest} was found, and its object is gone`)
  }

  /** As a pusher that has heard that the blob is there. */
  async use(metadata: Metadata, repository: RepositoryName, digest: Digest): Promise<void> {
    this.assertReadable(await metadata.findBlob(repository, digest))
    await metadata.putManifest(repository, imageManifest({ config: digest, tags: ['used'] }))
    this.assertReadable(await metadata.findBlob(repository, digest))
  }

  async pushAgain(
    metadata: Metadata,
    repository: RepositoryName,
    digest: Digest,
    size: number,
  ): Promise<StoredBlob> {
    const upload = newUpload(repository, this.#clock.time, { objectKey: newObjectKey() })
    await metadata.createUpload(upload)
    return metadata.commitBlob({ ...upload, digest, size, uploadId: upload.id })
  }

  /** So that now one comes first and now the other: spread over the time that taking away took before. */
  async soon<Result>(run: () => Promise<Result>): Promise<Result> {
    await sleep(Math.random() * this.#collectMs)
    return run()
  }

  /** Takes things away, and remembers how long that takes. */
  async takingAway(run: () => Promise<unknown>): Promise<void> {
    const start = performance.now()
    await run()
    this.#collectMs = Math.min(performance.now() - start, 500)
  }
}

/** Whether it was so; false for what is not there, or needs what is not there, or when somebody else was faster. */
export async function isTold(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt
    return true
  } catch (error) {
    if (isDomainError(error, 'not_found', 'missing_reference', 'conflict', 'busy')) return false
    throw error
  }
}

export function inParallel<Item, Result>(
  items: readonly Item[],
  run: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(items.map(item => run(item)))
}
