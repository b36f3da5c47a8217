/** Pushes while a repository is deleted, restored or renamed: each comes before or after, and nothing is half there. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, isDomainError } from '../../../src/errors.ts'
import { tenantOf } from '../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { parseReference, parseTag, type RepositoryName } from '../../../src/storage/reference.ts'
import type { OpenedMetadata, TestClock } from '../../contract/metadata.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { commitText, imageManifest } from '../../support/records.ts'
import { freshTenantName, repositoryIn } from '../../support/repository-world.ts'

const rounds = 12
const pushers = 6
/** What may come of a push, and of a change of the whole repository, that others are in the way of. */
const allowed: ReadonlySet<ErrorCode> = new Set([
  'busy',
  'not_found',
  'conflict',
  'missing_reference',
  'already_exists',
])

function races(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`Pushes and changes of whole repositories on ${name}`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    before(async () => {
      opened = await open(() => clock.time)
    })
    after(() => opened.close())

    /** An image and its tag. Answers whether it was acknowledged. */
    async function push(metadata: Metadata, repository: RepositoryName, text: string): Promise<boolean> {
      return isDone(async () => {
        const { digest: config } = await commitText(metadata, repository, text, clock.time)
        await metadata.putManifest(repository, imageManifest({ config, tags: [text] }))
      })
    }
    async function isDone(work: () => Promise<unknown>): Promise<boolean> {
      try {
        await work()
        return true
      } catch (error) {
        if (isDomainError(error) && allowed.has(error.code)) return false
        throw error
      }
    }
    const soon = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      await sleep(Math.random() * 40)
      return work()
    }
    /** Every tag of it can be pulled whole. */
    async function tagsOf(repository: RepositoryName): Promise<string[]> {
      const { metadata } = opened
      if (!(await metadata.hasRepository(repository))) return []
      const tags = await metadata.listTags(repository, { limit: 1000 })
      for (const tag of tags) {
        const { bytes } = await metadata.getManifest(repository, parseReference(tag))
        const { config } = JSON.parse(Buffer.from(bytes).toString()) as { config: { digest: string } }
        const reference = parseReference(config.digest)
        assert.ok(reference.kind === 'digest')
        await metadata.findBlob(repository, reference.digest)
      }
      return tags
    }
    async function assertCounted(repository: RepositoryName): Promise<void> {
      const tenant = tenantOf(repository)
      const used = await opened.metadata.getUsage(tenant)
      assert.deepEqual(await opened.metadata.recountUsage(tenant), used)
    }

    it('a push is deleted with the repository, or is there afterwards', async context => {
      let kept = 0
      let gone = 0
      for (let round = 0; round < rounds; round += 1) {
        const repository = repositoryIn()
        await push(opened.metadata, repository, 'first')
        clock.time += 1000
        const texts = [...Array(pushers).keys()].map(each => `p${each}`)
        const [isDeleted, ...acknowledged] = await Promise.all([
          soon(() => isDone(() => opened.replica.deleteRepository(repository))),
          ...texts.map((text, each) =>
            soon(() => push(each % 2 === 0 ? opened.metadata : opened.replica, repository, text)),
          ),
        ])
        assert.equal(isDeleted, true)
        while (await opened.metadata.finishRepositories());
        const tags = await tagsOf(repository)
        assert.ok(!tags.includes('first'))
        for (const [each, text] of texts.entries()) {
          const isThere = tags.includes(text)
          if (isThere) kept += 1
          else gone += 1
          if (isThere) assert.equal(acknowledged[each], true, text)
          // What was acknowledged and is not there was deleted, and can be taken back.
          if (acknowledged[each] === true && !isThere) {
            await opened.metadata.restoreTag(repository, parseTag(text), undefined)
            assert.ok((await tagsOf(repository)).includes(text))
          }
        }
        await assertCounted(repository)
      }
      context.diagnostic(`${kept} of ${kept + gone} pushes came afterwards`)
    })

    it('a push goes with the repository to its new name, or stays at the old one', async context => {
      const counts = { old: 0, new: 0, refused: 0 }
      for (let round = 0; round < rounds; round += 1) {
        const tenant = freshTenantName()
        const from = repositoryIn(tenant, 'old')
        const to = round % 2 === 0 ? repositoryIn(tenant, 'new') : repositoryIn()
        await push(opened.metadata, from, 'first')
        const texts = [...Array(pushers).keys()].map(each => `p${each}`)
        const [isRenamed, ...acknowledged] = await Promise.all([
          soon(() => isDone(() => opened.replica.renameRepository({ from, to }))),
          ...texts.map((text, each) =>
            soon(() => push(each % 2 === 0 ? opened.metadata : opened.replica, from, text)),
          ),
        ])
        assert.equal(isRenamed, true)
        const [old, renamed] = [await tagsOf(from), await tagsOf(to)]
        assert.ok(renamed.includes('first') && !old.includes('first'))
        for (const [each, text] of texts.entries()) {
          const where = [old.includes(text), renamed.includes(text)].filter(Boolean).length
          assert.equal(where, acknowledged[each] === true ? 1 : 0, `${text} is at ${where} names`)
          counts[old.includes(text) ? 'old' : renamed.includes(text) ? 'new' : 'refused'] += 1
        }
        await assertCounted(from)
        await assertCounted(to)
      }
      context.diagnostic(JSON.stringify(counts))
    })

    it('of several that delete, restore and rename at once, each finds something whole', async () => {
      for (let round = 0; round < rounds; round += 1) {
        const tenant = freshTenantName()
        const [one, two] = [repositoryIn(tenant, 'one'), repositoryIn(tenant, 'two')]
        for (const text of ['a', 'b', 'c']) await push(opened.metadata, one, text)
        clock.time += 1000
        await Promise.all([
          soon(() => isDone(() => opened.metadata.deleteRepository(one))),
          soon(() => isDone(() => opened.replica.renameRepository({ from: one, to: two }))),
          soon(() => isDone(() => opened.metadata.renameRepository({ from: two, to: one }))),
          soon(() => isDone(() => opened.replica.restoreRepository(one))),
          soon(() => isDone(() => opened.metadata.finishRepositories())),
          soon(() => isDone(() => opened.metadata.deleteRepository(two))),
        ])
        while (await opened.metadata.finishRepositories());
        for (const name of [one, two]) await isDone(() => opened.metadata.restoreRepository(name))
        const [first, second] = [await tagsOf(one), await tagsOf(two)]
        assert.deepEqual([...first, ...second].sort(), ['a', 'b', 'c'])
        assert.ok(first.length === 0 || second.length === 0)
        await assertCounted(one)
      }
    })
  })
}

races('SQLite', openSqliteTwice)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())
  races('PostgreSQL', now => openPostgresTwice(server, now))
})
