import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isDomainError } from '../../../src/errors.ts'
import { AdminService } from '../../../src/registry/admin/admin-service.ts'
import {
  type AdminInput,
  type AdminOperation,
  adminOperations,
  operationNames,
} from '../../../src/registry/admin/administration.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { adminPartsOver } from '../../support/administration.ts'
import { identityOf } from '../../support/known-identities.ts'
import { looseManifest } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const repository = 'acme/app'
const { digest } = looseManifest('app', 'v1')
/** What some of them want to know besides the repository. */
const more: Readonly<Partial<Record<AdminOperation, object>>> = {
  'repository.rename': { name: 'acme/web' },
  'tag.delete': { tag: 'v1' },
  'tag.restore': { tag: 'v1' },
  'tag.expire': { tag: 'v1', expiresAt: '2030-01-01T00:00:00Z' },
  'manifest.restore': { digest },
  'manifest.purge': { digest },
}
/** Who may see something is not what it is. */
const changesNoContent: ReadonlySet<AdminOperation> = new Set<AdminOperation>(['repository.set'])

describe('Administration of a registry that is read-only', () => {
  const changes = operationNames.filter(
    name =>
      ['repository', 'tag', 'manifest'].includes(adminOperations[name].resource) &&
      adminOperations[name].method !== 'GET' &&
      !changesNoContent.has(name),
  )

  it('leaves repositories, tags and manifests as they are, for admins and on its own machine as well', async () => {
    await using directory = await temporaryDirectory()
    await using metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
    const service = new AdminService({ ...adminPartsOver(metadata), isReadOnly: true })
    const acme = parseTenantName('acme')
    await metadata.createTenant({ name: acme })
    await metadata.putManifest(parseRepositoryName(repository), looseManifest('app', 'v1'))
    const gone = parseRepositoryName('acme/gone')
    await metadata.putManifest(gone, looseManifest('gone', 'v1'))
    await metadata.deleteRepository(gone)
    const admin = identityOf('root', { isAdmin: true })
    const system = service.as({ kind: 'system', name: 'system:test' })
    assert.equal(changes.length, 9)
    for (const administration of [
      system,
      service.as({ kind: 'account', identity: admin, address: '127.0.0.1' }),
    ]) {
      const refused = async (name: AdminOperation, input: object): Promise<void> => {
        await assert.rejects(
          administration.call(name, input as AdminInput<typeof name>),
          error => isDomainError(error, 'unsupported') && /registry\.readOnly/.test(error.message),
          name,
        )
      }
      for (const name of changes) await refused(name, { repository, ...more[name] })
      await refused('retention.run', {})
      await refused('tenant.delete', { tenant: 'acme', purge: true })
    }
    assert.deepEqual(await metadata.listTags(parseRepositoryName(repository), { limit: 10 }), [
      parseTag('v1'),
    ])
    assert.equal((await metadata.describeRepository(gone)).manifests, 0)
    // What is no content, and what only looks, goes on.
    await system.call('tenant.update', { tenant: 'acme', description: 'frozen' })
    assert.equal((await system.call('tag.list', { repository })).items.length, 1)
  })

  it('tells nobody more than it would otherwise', async () => {
    await using directory = await temporaryDirectory()
    await using metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
    const service = new AdminService({ ...adminPartsOver(metadata), isReadOnly: true })
    await metadata.createTenant({ name: parseTenantName('acme') })
    const stranger = service.as({
      kind: 'account',
      identity: identityOf('zoe'),
      address: '127.0.0.1',
    })
    for (const name of changes)
      await rejectsWith(
        'not_found',
        stranger.call(name, { repository, ...more[name] } as AdminInput<typeof name>),
      )
  })
})
