import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { DomainError, ErrorCode } from '../../src/errors.ts'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { parseRepositoryName, parseTag } from '../../src/storage/reference.ts'
import { newCredential } from './account-records.ts'
import { commitText, imageManifest, indexOf, looseManifest } from './records.ts'
import { rejectsWith } from './rejects.ts'

export const filledRepository = parseRepositoryName('acme/app')
const tenant = parseTenantName('acme')
const user = parseAccountName('alice')

export interface FilledMetadata {
  /** What a database has, in the terms of its contract. */
  readonly describe: (metadata: Metadata) => Promise<unknown>
  /** Of the one that was filled. */
  readonly before: unknown
}

/** Something of nearly everything that a database can have. @param mark of a second time. */
export async function fillMetadata(metadata: Metadata, mark = 'first'): Promise<FilledMetadata> {
  const now = Date.now()
  const repository = filledRepository
  const config = await commitText(metadata, repository, `config ${mark}`, now)
  const layer = await commitText(metadata, repository, `layer ${mark}`, now)
  // One that is under way.
  const image = imageManifest({ config: config.digest, layers: [layer.digest], tags: ['v1'] })
  const signature = imageManifest({
    config: config.digest,
    subject: image.digest,
    annotations: { mark, umlaut: 'ä€𝄞' },
  })
  const index = { ...indexOf([image.digest], 'all'), tags: [parseTag('all')] }
  for (const manifest of [image, signature, index, looseManifest(`loose ${mark}`, 'latest')])
    await metadata.putManifest(repository, manifest)
  await metadata.deleteTag(repository, parseTag('latest'))
  if (!(await metadata.listTenants({ limit: 1 })).some(({ name }) => name === tenant)) {
    await metadata.createTenant({ name: tenant, description: 'of acme' })
    await metadata.createAccount({ name: user, kind: 'user', passwordHash: '$2b$04$nothing' })
    await metadata.setMember(tenant, user, 'owner')
    await metadata.addCredential(newCredential(user, { id: 'token' }))
  }
  await metadata.addGrant({ tenant, subject: user, pattern: 'acme/**', actions: ['pull'] })
  await metadata.addTagRule({ tenant, repositories: 'acme/**', tags: 'rel-*' })
  await metadata.addAuditEntries([
    {
      at: new Date(),
      account: 'alice',
      operation: 'manifest.put',
      target: repository,
      outcome: 'allowed',
      address: '127.0.0.1',
      userAgent: 'test',
      requestId: randomUUID(),
    },
  ])
  await metadata.registerEndpoints(['hook'])
  await metadata.eventBounds()
  await metadata.agreeOn('upload-secret', 'secret')

  const describe = async (described: Metadata): Promise<unknown> => ({
    tags: await described.listTags(repository, { limit: 100 }),
    manifests: await Promise.all(
      [image, signature, index].map(async ({ digest }) => {
        const found = await described.getManifest(repository, { kind: 'digest', digest })
        return [found.digest, found.mediaType, Buffer.from(found.bytes).toString()]
      }),
    ),
    blobs: await Promise.all([config, layer].map(({ digest }) => described.findBlob(repository, digest))),
    tenants: await described.listTenants({ limit: 10 }),
    members: await described.listMembers(tenant, { limit: 10 }),
    grants: await described.listGrants(tenant),
    rules: await described.listTagRules(tenant),
    account: await described.getAccount(user),
    tokens: await described.listCredentials(user, 'token'),
    audit: await described.listAudit({ limit: 10 }),
    history: await described.listTagHistory(repository, parseTag('v1'), { limit: 10 }),
    deleted: await described.listDeletedManifests(repository, { limit: 10 }),
    usage: (await described.getUsage(tenant)).bytes,
    secret: await described.agreeOn('upload-secret', 'another'),
  })
  return { describe, before: await describe(metadata) }
}

/** As `rejectsWith`, with a look at the message. */
export async function failsWith(
  code: ErrorCode,
  message: RegExp,
  attempt: Promise<unknown>,
): Promise<DomainError> {
  const error = await rejectsWith(code, attempt)
  assert.match(error.message, message)
  return error
}
