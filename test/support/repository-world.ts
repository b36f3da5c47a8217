import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { isDomainError } from '../../src/errors.ts'
import { parseTenantName, type TenantName, tenantOf } from '../../src/storage/accounts/names.ts'
import type { Digest } from '../../src/storage/digest.ts'
import type { RegistryEvent } from '../../src/storage/metadata/event-records.ts'
import type { NewManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import {
  parseReference,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
} from '../../src/storage/reference.ts'
import type { Requester } from '../../src/storage/requester.ts'
import type { TestClock } from '../contract/metadata.ts'
import { commitText, imageManifest, indexOf } from './records.ts'

export const alice: Requester = {
  requestId: 'r',
  address: '192.0.2.1',
  scheme: 'https',
  host: 'registry.example',
  method: 'PUT',
  userAgent: 'test',
  account: 'alice',
}

export const freshTenantName = (): TenantName => parseTenantName(`t${randomUUID()}`)
/** Of a tenant of its own, unless one is given. */
export const repositoryIn = (tenant: string = freshTenantName(), rest = 'app'): RepositoryName =>
  parseRepositoryName(`${tenant}/${rest}`)

export interface Pushed {
  readonly image: NewManifest
  readonly index: NewManifest
  readonly referrer: NewManifest
  readonly config: Digest
}

/** Whole repositories as their owners fill them, and as others see them. */
export class RepositoryWorld {
  readonly metadata: Metadata
  readonly clock: TestClock

  constructor(metadata: Metadata, clock: TestClock) {
    this.metadata = metadata
    this.clock = clock
  }

  /** An image, an index of it with the tags `latest` and `v1`, and a referrer of that. */
  async fill(repository: RepositoryName): Promise<Pushed> {
    const { digest: config } = await commitText(
      this.metadata,
      repository,
      `config of ${repository}`,
      this.clock.time,
    )
    const image = imageManifest({ config })
    await this.metadata.putManifest(repository, image)
    const index: NewManifest = {
      ...indexOf([image.digest], 'all'),
      tags: [parseTag('latest'), parseTag('v1')],
    }
    await this.metadata.putManifest(repository, index)
    const referrer = imageManifest({ config, subject: index.digest })
    await this.metadata.putManifest(repository, referrer)
    return { image, index, referrer, config }
  }

  /** What anybody can find out about a repository. */
  async seen(repository: RepositoryName, { image, index, config }: Pushed): Promise<object> {
    const { metadata } = this
    const elsewhere = parseRepositoryName(`probe/${randomUUID()}`)
    return {
      has: await metadata.hasRepository(repository),
      tags: await told(metadata.listTags(repository, { limit: 100 })),
      byTag: await told(metadata.statManifest(repository, parseReference('latest'))),
      byDigest: await told(metadata.statManifest(repository, parseReference(image.digest))),
      bytes: await told(metadata.getManifest(repository, parseReference(image.digest))),
      blob: await told(metadata.findBlob(repository, config)),
      mount: await told(metadata.linkBlob({ repository: elsewhere, from: repository, digest: config })),
      referrers: (
        await metadata.listReferrers(repository, index.digest, { artifactTypes: [], maxBytes: 10_000 })
      ).referrers.length,
      parents: await metadata.listParents(repository, image.digest, 10),
      listed: (await metadata.listRepositories({ limit: 1, after: repository.slice(0, -1) })).includes(
        repository,
      ),
      withBlob: (await metadata.repositoriesWithBlob(config, 10, { below: undefined })).includes(repository),
    }
  }

  /** What the tenant uses, which is what is counted anew. */
  async usage(repository: RepositoryName): Promise<{ bytes: number; repositories: number }> {
    const tenant = tenantOf(repository)
    const used = await this.metadata.getUsage(tenant)
    assert.deepEqual(await this.metadata.recountUsage(tenant), used)
    return { bytes: used.bytes, repositories: used.repositories }
  }

  /** All that is due by then goes. */
  async pass(ms: number): Promise<void> {
    this.clock.time += ms
    const policy = { untaggedMs: 1, referrers: 'delete' } as const
    while ((await this.metadata.forgetDeletedManifests(100)) > 0);
    while ((await this.metadata.reviewManifests(policy, 100)).seen === 100);
    while ((await this.metadata.reviewLinks(100)).seen === 100);
    while ((await this.metadata.reviewRepositories(100)).seen === 100);
  }

  /** Events of a repository since a position, in few words. */
  async eventsOf(repository: RepositoryName, after: number): Promise<string[]> {
    const events = await this.metadata.listEvents({ after, limit: 1000 })
    return events.flatMap(event => wordsOf(event, repository))
  }

  async newestEvent(): Promise<number> {
    return (await this.metadata.eventBounds()).newest
  }
}

function wordsOf(event: RegistryEvent, repository: RepositoryName): string[] {
  if (!('repository' in event) || event.repository !== repository) return []
  const { kind, action, tag, by } = event
  return [`${by?.account ?? '-'} ${kind} ${action}${kind === 'tag' ? ` ${tag}` : ''}`]
}

/** What somebody is told: something, or why not. */
async function told(answer: Promise<unknown>): Promise<string> {
  try {
    await answer
    return 'there'
  } catch (error) {
    if (isDomainError(error)) return error.code
    throw error
  }
}
