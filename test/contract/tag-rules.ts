import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { isDomainError } from '../../src/errors.ts'
import { parseTenantName, type TenantName } from '../../src/storage/accounts/names.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import {
  parseReference,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
} from '../../src/storage/reference.ts'
import { indexOf, looseManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/** The executable half of TagRuleRecords, and of what it says of manifests and tags. */
export function tagRuleContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as TagRuleRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    async function freshTenant(): Promise<{ tenant: TenantName; repository: RepositoryName }> {
      const tenant = parseTenantName(`t${randomUUID()}`)
      await metadata.createTenant({ name: tenant })
      return { tenant, repository: parseRepositoryName(`${tenant}/web`) }
    }

    async function protectedTenant(
      tags: string,
    ): Promise<{ tenant: TenantName; repository: RepositoryName }> {
      const fresh = await freshTenant()
      await metadata.addTagRule({ tenant: fresh.tenant, repositories: `${fresh.tenant}/**`, tags })
      return fresh
    }

    const digestAt = async (repository: RepositoryName, reference: string) =>
      (await metadata.statManifest(repository, parseReference(reference))).digest

    it('keeps rules in the order in which they came, until they are removed', async () => {
      const { tenant } = await freshTenant()
      assert.deepEqual(await metadata.listTagRules(tenant), [])
      const first = await metadata.addTagRule({ tenant, repositories: '**', tags: 'v*' })
      const second = await metadata.addTagRule({ tenant, repositories: `${tenant}/a`, tags: '**' })
      assert.deepEqual(first, {
        id: first.id,
        tenant,
        repositories: '**',
        tags: 'v*',
        createdAt: new Date(clock.time),
      })
      assert.deepEqual(await opened.replica.listTagRules(tenant), [first, second])
      await rejectsWith('not_found', metadata.removeTagRule(parseTenantName('another'), first.id))
      await metadata.removeTagRule(tenant, first.id)
      const error = await rejectsWith('not_found', metadata.removeTagRule(tenant, first.id))
      assert.equal(error.details.resource, 'rule')
      assert.deepEqual(await metadata.listTagRules(tenant), [second])
    })

    it('refuses a tenant that is not there, and what is no pattern', async () => {
      const { tenant } = await freshTenant()
      const absent = parseTenantName(`t${randomUUID()}`)
      await rejectsWith('not_found', metadata.addTagRule({ tenant: absent, repositories: '**', tags: '**' }))
      for (const pattern of ['', 'a'.repeat(256), 'a\0'])
        for (const rule of [
          { repositories: pattern, tags: '*' },
          { repositories: '**', tags: pattern },
        ])
          await rejectsWith('invalid', metadata.addTagRule({ tenant, ...rule }))
      await rejectsWith('not_found', metadata.removeTagRule(tenant, 'a\0'))
    })

    it('goes with its tenant', async () => {
      const { tenant } = await protectedTenant('*')
      await metadata.deleteTenant(tenant)
      assert.deepEqual(await metadata.listTagRules(tenant), [])
    })

    it('lets a tag be set once, and set to the same again', async () => {
      const { tenant, repository } = await protectedTenant('v*')
      const [one, two] = [looseManifest('one', 'v1'), looseManifest('two', 'v1')]
      await metadata.putManifest(repository, one)
      await metadata.putManifest(repository, one)
      const error = await rejectsWith('conflict', metadata.putManifest(repository, two))
      const [{ id } = assert.fail()] = await metadata.listTagRules(tenant)
      assert.equal(
        error.message,
        `The tag v1 of ${repository} may not be changed: rule ${id} (${tenant}/**, tags v*). Use another tag, or ask an owner of the tenant to remove the rule.`,
      )
      assert.equal(error.details.resource, 'tag')
      assert.equal(await digestAt(repository, 'v1'), one.digest)
      // All of the push was refused.
      await rejectsWith('not_found', metadata.statManifest(repository, parseReference(two.digest)))
    })

    it('refuses all of a push of which one tag may not be changed', async () => {
      const { repository } = await protectedTenant('v*')
      await metadata.putManifest(repository, looseManifest('one', 'v1', 'latest'))
      const before = await digestAt(repository, 'latest')
      await rejectsWith(
        'conflict',
        metadata.putManifest(repository, looseManifest('two', 'latest', 'v1', 'new')),
      )
      assert.equal(await digestAt(repository, 'latest'), before)
      await rejectsWith('not_found', metadata.statManifest(repository, parseReference('new')))
    })

    it('writes no event of what it refuses', async () => {
      const { repository } = await protectedTenant('*')
      const one = looseManifest('one', 'v1')
      await metadata.putManifest(repository, one)
      const { newest } = await metadata.eventBounds()
      await rejectsWith('conflict', metadata.putManifest(repository, looseManifest('two', 'v1')))
      await rejectsWith('conflict', metadata.deleteTag(repository, parseTag('v1')))
      await rejectsWith('conflict', metadata.deleteManifest(repository, one.digest))
      assert.equal((await metadata.eventBounds()).newest, newest)
    })

    it('keeps a tag, and the manifest that it names', async () => {
      const { repository } = await protectedTenant('v*')
      const kept = looseManifest('kept', 'v1', 'loose')
      const free = looseManifest('free', 'other')
      for (const manifest of [kept, free]) await metadata.putManifest(repository, manifest)
      await rejectsWith('conflict', metadata.deleteTag(repository, parseTag('v1')))
      await rejectsWith('conflict', metadata.deleteManifest(repository, kept.digest))
      assert.equal(await digestAt(repository, 'v1'), kept.digest)
      assert.equal(await digestAt(repository, 'loose'), kept.digest)
      await metadata.deleteTag(repository, parseTag('loose'))
      await metadata.deleteManifest(repository, free.digest)
      await rejectsWith('not_found', metadata.deleteTag(repository, parseTag('v2')))
    })

    it('keeps what is in an index that a kept tag names, however deep, and nothing else', async () => {
      const { tenant, repository } = await freshTenant()
      const [child, sibling, outside] = [
        looseManifest('child'),
        looseManifest('sibling'),
        looseManifest('outside'),
      ]
      const inner = indexOf([child.digest], 'all')
      const outer = indexOf([inner.digest, sibling.digest], 'all')
      const loose = { ...indexOf([outside.digest], 'all'), tags: [parseTag('loose')] }
      for (const manifest of [child, sibling, outside, inner, loose])
        await metadata.putManifest(repository, manifest)
      await metadata.putManifest(repository, { ...outer, tags: [parseTag('v1')] })
      const { id } = await metadata.addTagRule({ tenant, repositories: `${tenant}/**`, tags: 'v*' })
      for (const { digest } of [child, sibling, inner])
        await rejectsWith('conflict', metadata.deleteManifest(repository, digest))
      assert.equal(await digestAt(repository, child.digest), child.digest)
      await metadata.deleteManifest(repository, outside.digest)
      await metadata.removeTagRule(tenant, id)
      await metadata.deleteManifest(repository, child.digest)
    })

    it('leaves other tags, repositories and tenants alone', async () => {
      const { tenant } = await freshTenant()
      const other = await freshTenant()
      await metadata.addTagRule({ tenant, repositories: `${tenant}/kept/*`, tags: 'v*' })
      // Another tenant's rule says nothing about these, whatever its pattern.
      await metadata.addTagRule({ tenant: other.tenant, repositories: '**', tags: '**' })
      for (const [rest, tag, outcome] of [
        ['kept/a', 'v1', 'conflict'],
        ['kept/a', 'latest', 'ok'],
        ['kept/a/b', 'v1', 'ok'],
        ['loose', 'v1', 'ok'],
      ] as const) {
        const repository = parseRepositoryName(`${tenant}/${rest}`)
        await metadata.putManifest(repository, looseManifest('one', tag))
        const change = metadata.putManifest(repository, looseManifest('two', tag))
        if (outcome === 'ok') await change
        else await rejectsWith(outcome, change)
      }
    })

    it('ends with its rule', async () => {
      const { tenant, repository } = await protectedTenant('*')
      await metadata.putManifest(repository, looseManifest('one', 'v1'))
      const [{ id } = assert.fail()] = await metadata.listTagRules(tenant)
      await metadata.removeTagRule(tenant, id)
      await metadata.putManifest(repository, looseManifest('two', 'v1'))
      await metadata.deleteTag(repository, parseTag('v1'))
    })

    it('lets an adoption keep what is there', async () => {
      const { repository } = await protectedTenant('*')
      const [here, there] = [looseManifest('here', 'v1'), looseManifest('there')]
      for (const manifest of [here, there]) await metadata.putManifest(repository, manifest)
      const adopt = (tag: string) =>
        metadata.adoptTag({
          repository,
          tag: parseTag(tag),
          digest: there.digest,
          changedAt: new Date(clock.time + 1000),
        })
      assert.equal(await adopt('v1'), 'kept')
      assert.equal(await digestAt(repository, 'v1'), here.digest)
      assert.equal(await adopt('v2'), 'set')
    })

    it('has one winner of pushes that race for a tag', async () => {
      for (let round = 0; round < 5; round++) {
        const { repository } = await protectedTenant('**')
        const outcomes = await Promise.all(
          Array.from({ length: 8 }, (_, index) =>
            (index % 2 === 0 ? metadata : opened.replica)
              .putManifest(repository, looseManifest(`racer ${index}`, 'v1'))
              .then(
                () => 'ok',
                (error: unknown) => (isDomainError(error) ? error.code : assert.fail()),
              ),
          ),
        )
        assert.deepEqual(outcomes.toSorted(), [...Array<string>(7).fill('conflict'), 'ok'])
        const winner = outcomes.indexOf('ok')
        assert.equal(await digestAt(repository, 'v1'), looseManifest(`racer ${winner}`).digest)
      }
    })
  })
}
