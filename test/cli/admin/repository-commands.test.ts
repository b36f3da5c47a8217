import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { RepositoryFactsView } from '../../../src/registry/admin/repository-views.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { type AdminRegistry, startAdminRegistry } from '../../support/admin-registry.ts'
import { passwordOf } from '../../support/known-identities.ts'
import { looseManifest } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type Ran, runVarve } from '../../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe('varve repository, for a registry elsewhere', () => {
  let directory: TemporaryDirectory
  let registry: AdminRegistry
  let tokenFile: string
  before(async () => {
    directory = await temporaryDirectory()
    registry = await startAdminRegistry()
    const root = registry.as('root')
    await root.call('tenant.create', { name: 'acme' })
    await root.call('tenant.create', { name: 'site', visibility: 'public' })
    const { token } = await root.call('token.create', { account: 'root' })
    tokenFile = join(directory.path, 'token')
    await writeFile(tokenFile, token, { mode: 0o600 })
    for (const name of ['acme/app', 'acme/lib'])
      await registry.metadata.putManifest(parseRepositoryName(name), looseManifest(name, 'v1', 'v2'))
  })
  after(async () => {
    await registry[Symbol.asyncDispose]()
    await directory.remove()
  })
  const varve = async (...args: readonly string[]): Promise<Ran> =>
    await runVarve([...args, '--registry', registry.url, '--token-file', tokenFile])
  async function run(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await varve('repository', ...args)
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }

  it('lists them, and shows one', async () => {
    assert.match(await run('list', 'acme'), /^REPOSITORY +SINCE\nacme\/app +\d{4}-.*\nacme\/lib /)
    assert.equal(await run('list', 'site'), 'no repositories\n')
    assert.match(await run('show', 'acme/app'), /tags +2\nmanifests +1\n[\s\S]*to restore +nothing/)
    assert.equal((await varve('repository', 'show', 'acme/absent')).code, 3)
  })

  it('deletes one, lists it as deleted, and restores it', async () => {
    assert.match(
      await run('delete', 'acme/app'),
      /^deleted acme\/app \(2 tags, 1 manifest\); .* takes it back\n$/,
    )
    assert.doesNotMatch(await run('list', 'acme'), /app/)
    assert.match(await run('list', 'acme', '--deleted'), /^REPOSITORY +DELETED +GOES\nacme\/app +\d{4}-/)
    assert.match(await run('show', 'acme/app'), /deleted +\d{4}-[\s\S]*to restore +1 manifest, until \d{4}-/)
    assert.equal((await varve('repository', 'delete', 'acme/app')).code, 3)
    assert.equal(await run('restore', 'acme/app'), 'restored acme/app (2 tags, 1 manifest)\n')
    const shown = JSON.parse(await run('show', 'acme/app', '--json')) as RepositoryFactsView
    assert.deepEqual([shown.tags, shown.deletedAt], [2, null])
    const again = await varve('repository', 'restore', 'acme/app')
    assert.deepEqual([again.code, /is there/.test(again.stderr)], [5, true])
  })

  it('renames one, and asks before it becomes public', async () => {
    const refused = await varve('repository', 'rename', 'acme/lib', 'site/lib')
    assert.deepEqual(
      [refused.code, /say whether it shall be public or private/.test(refused.stderr)],
      [5, true],
    )
    assert.equal(
      await run('rename', 'acme/lib', 'site/lib', '--private'),
      'acme/lib is now site/lib (2 tags, 1 manifest)\n',
    )
    assert.match((await varve('access', 'show', 'site/lib')).stdout, /private, by its own setting/)
    const taken = await varve('repository', 'rename', 'site/lib', 'acme/app')
    assert.deepEqual([taken.code, /already/.test(taken.stderr)], [5, true])
    const same = await varve('repository', 'rename', 'acme/app', 'acme/app')
    assert.deepEqual([same.code, /has this name already/.test(same.stderr)], [5, true])
    const copy = await varve('repository', 'rename', 'acme/app', 'docker.io/app')
    assert.deepEqual([copy.code, /copies of an upstream/.test(copy.stderr)], [4, true])
    const both = await varve('repository', 'rename', 'site/lib', 'acme/x', '--public', '--private')
    assert.notEqual(both.code, 0)
  })

  it('keeps immutable tags, unless an admin forces it', async () => {
    await registry.metadata.addTagRule({
      tenant: parseTenantName('site'),
      repositories: 'site/**',
      tags: 'v1',
    })
    const refused = await varve('repository', 'delete', 'site/lib')
    assert.match(refused.stderr, /v1 of site\/lib may not be changed: rule/)
    await run('delete', 'site/lib', '--force')
  })

  it('purges a deleted one, and its tenant with what is left', async () => {
    const refused = await varve('tenant', 'rm', 'site')
    assert.deepEqual(
      [refused.code, /still kept, site\/lib for one, until \d{4}-.* --purge/.test(refused.stderr)],
      [5, true],
    )
    assert.equal((await varve('tenant', 'rm', 'site', '--purge')).stdout, 'deleted tenant site\n')
    await run('delete', 'acme/app')
    assert.equal(await run('purge', 'acme/app'), 'purged acme/app\n')
    assert.equal((await varve('repository', 'show', 'acme/app')).code, 3)
  })

  it('events and the audit log say who did it', async () => {
    const root = registry.as('root')
    const { items } = await root.call('audit.list', { operation: 'repository.rename' })
    assert.deepEqual(
      items
        .map(({ account, target, outcome }) => [account, target, outcome])
        .filter(([, , how]) => how === 'allowed'),
      [['root', 'acme/lib', 'allowed']],
    )
    const events = await registry.metadata.listEvents({ after: 0, limit: 1000 })
    const deletions = events.filter(event => event.action === 'delete' && 'repository' in event)
    assert.ok(deletions.length > 0)
    for (const event of deletions)
      assert.ok('by' in event && event.by?.account === 'root' && event.by.address !== '')
  })

  it('lets members see, maintainers delete and restore, and only owners of both tenants rename', async () => {
    const root = registry.as('root')
    await root.call('tenant.create', { name: 'other' })
    for (const [name, role] of [
      ['olga', 'owner'],
      ['mike', 'maintainer'],
      ['zoe', undefined],
    ] as const) {
      await root.call('user.create', { name, password: passwordOf(name) })
      if (role !== undefined) await root.call('member.set', { tenant: 'acme', account: name, role })
    }
    const repository = 'acme/mine'
    await registry.metadata.putManifest(parseRepositoryName(repository), looseManifest(repository, 'v1'))
    const [olga, mike, zoe] = [registry.as('olga'), registry.as('mike'), registry.as('zoe')]
    const absent = await rejectsWith('not_found', zoe.call('repository.show', { repository: 'nobody/mine' }))
    const hidden = await rejectsWith('not_found', zoe.call('repository.show', { repository }))
    assert.equal(hidden.message.replace('acme', 'nobody'), absent.message)
    await rejectsWith('not_found', zoe.call('repository.delete', { repository }))
    await mike.call('repository.delete', { repository })
    await mike.call('repository.restore', { repository })
    await rejectsWith('denied', mike.call('repository.delete', { repository, force: true }))
    await rejectsWith('denied', mike.call('repository.rename', { repository, name: 'acme/yours' }))
    await rejectsWith('not_found', olga.call('repository.rename', { repository, name: 'other/mine' }))
    await root.call('member.set', { tenant: 'other', account: 'olga', role: 'maintainer' })
    await rejectsWith('denied', olga.call('repository.rename', { repository, name: 'other/mine' }))
    await root.call('member.set', { tenant: 'other', account: 'olga', role: 'owner' })
    const moved = await olga.call('repository.rename', { repository, name: 'other/mine' })
    assert.deepEqual(moved, { name: 'other/mine', manifests: 1, tags: 1 })
    await rejectsWith('denied', olga.call('repository.list', {}))
  })
})
