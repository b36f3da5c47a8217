import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { tenantOf } from '../../../src/storage/accounts/names.ts'
import type { KeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'
import { parseReference, parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { type OpenedTables, openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { inParallel, isTold, Racing } from '../../support/racing.ts'
import { commitText, imageManifest } from '../../support/records.ts'

/** All that was taken away goes at the same moment. */
const keep: KeepTimes = { graceMs: 1000, objectDelayMs: 1, undeleteMs: 1000, keepDamagedMs: 1 }
const policy = { untaggedMs: 1000, referrers: 'delete' } as const
const v1 = parseTag('v1')

/** How an image goes, in turn. */
const ways = ['deleted', 'expired', 'purged', 'repository'] as const

/** For long runs: so many times as many rounds. */
const times = Number(process.env['RUNS'] || 1)

function races(
  name: string,
  { rounds, width }: { readonly rounds: number; readonly width: number },
  open: (now: () => number, keep: KeepTimes) => Promise<OpenedTables>,
): void {
  describe(`Races with what takes away and brings back, on ${name}`, () => {
    const clock = { time: Date.UTC(2026, 0, 1) }
    const racing = new Racing(clock)
    const soon = <Result>(run: () => Promise<Result>) => racing.soon(run)
    let opened: OpenedTables
    before(async () => {
      opened = await open(() => clock.time, keep)
    })
    after(() => opened.close())

    const collect = () =>
      racing.takingAway(() =>
        Promise.all([
          opened.metadata.forgetDeletedManifests(500),
          soon(() => opened.replica.forgetDeletedManifests(4)),
          soon(() => opened.replica.reviewManifests(policy, 500)),
          soon(() => opened.metadata.reviewLinks(500)),
          soon(() => opened.replica.reviewLinks(4)),
          soon(() => opened.metadata.reviewRepositories(100)),
          soon(() => racing.sweep(opened.metadata)),
        ]),
      )

    async function takeAway(metadata: Metadata, made: Made): Promise<void> {
      const { repository, image, way } = made
      if (way === 'repository') await metadata.deleteRepository(repository)
      else if (way !== 'expired') await metadata.deleteManifest(repository, image.digest)
      else {
        const facts = await metadata.findTagFacts(repository, v1)
        const { digest, pushedAt: setAt } = facts ?? assert.fail()
        assert.ok(await metadata.expireTag({ repository, tag: v1, digest, setAt }))
      }
    }

    /** Answers whether the image is there again. */
    async function bringBack(metadata: Metadata, { repository, image, way }: Made): Promise<boolean> {
      if (way === 'deleted') return isTold(metadata.restoreManifest(repository, image.digest))
      if (way !== 'repository') return isTold(metadata.restoreTag(repository, v1, image.digest))
      if (!(await isTold(metadata.restoreRepository(repository)))) return false
      // It comes back with what of it can still be taken back.
      return isTold(metadata.statManifest(repository, parseReference('v1')))
    }

    interface Made {
      readonly repository: ReturnType<Racing['freshOf']>
      readonly blob: Awaited<ReturnType<typeof commitText>>
      readonly image: ReturnType<typeof imageManifest>
      readonly way: (typeof ways)[number]
    }

    it('what was said to be there, or brought back, is whole', async context => {
      const [one, two] = [opened.metadata, opened.replica]
      const told = { head: 0, mount: 0, push: 0, manifest: 0, back: 0, gone: 0 }
      for (let round = 0; round < rounds * times; round++) {
        const made = await inParallel([...Array(width).keys()], async (index): Promise<Made> => {
          const repository = racing.freshOf('a')
          const blob = await commitText(one, repository, `taken ${round} ${index} ${name}`, clock.time)
          const image = imageManifest({ config: blob.digest, tags: ['v1'] })
          await one.putManifest(repository, image)
          return { repository, blob, image, way: ways[(round + index) % ways.length] ?? 'deleted' }
        })
        await inParallel(made, each => takeAway(two, each))
        clock.time += keep.undeleteMs
        // What was deleted goes in even rounds; in odd ones it has gone, and its blobs go.
        if (round % 2 === 1) {
          await one.forgetDeletedManifests(500)
          await one.reviewManifests(policy, 500)
          clock.time += keep.graceMs
        }
        const collecting = soon(collect)
        const answers = await inParallel(made, async each => {
          const { repository, blob, image, way } = each
          const there = racing.freshOf('b')
          const [head, mount, manifest, back, pushed] = await Promise.all([
            isTold(soon(() => one.findBlob(repository, blob.digest))),
            isTold(soon(() => two.linkBlob({ repository: there, from: repository, digest: blob.digest }))),
            isTold(soon(() => two.statManifest(repository, parseReference(image.digest)))),
            soon(() => bringBack(one, each)),
            round % 3 === 0
              ? soon(() => racing.pushAgain(two, racing.freshOf('c'), blob.digest, blob.size))
              : undefined,
            way === 'purged' ? isTold(soon(() => one.purgeManifest(repository, image.digest))) : undefined,
          ])
          return { ...each, there, head, mount, manifest, back, pushed }
        })
        await collecting
        clock.time += keep.objectDelayMs
        await racing.sweep(two)
        await inParallel(answers, async answer => {
          const { repository, there, blob, image, way, pushed } = answer
          if (pushed !== undefined) racing.assertReadable(pushed)
          if (answer.mount) await racing.use(two, there, blob.digest)
          if (answer.back || answer.manifest) {
            // A manifest that is there leads to all that it names.
            const found = await one.getManifest(repository, parseReference(image.digest))
            assert.equal(found.digest, image.digest)
            racing.assertReadable(await one.findBlob(repository, blob.digest))
          }
          // A purge takes even what was promised.
          if (answer.head && way !== 'purged') await racing.use(one, repository, blob.digest)
          told.head += Number(answer.head)
          told.mount += Number(answer.mount)
          told.manifest += Number(answer.manifest)
          told.back += Number(answer.back)
          told.push += Number(pushed !== undefined)
          told.gone += Number(!answer.back)
        })
      }
      assert.ok(told.back > 0 && told.gone > 0, JSON.stringify(told))
      context.diagnostic(JSON.stringify(told))
    })

    it('a damaged blob is pushed again while a stray heals it, and both while it goes', async context => {
      const [one, two] = [opened.metadata, opened.replica]
      const told = { pushed: 0, healed: 0, found: 0 }
      for (let round = 0; round < rounds * times; round++) {
        const made = await inParallel([...Array(width).keys()], async index => {
          const repository = racing.freshOf('d')
          const blob = await commitText(one, repository, `damaged ${round} ${index} ${name}`, clock.time)
          const { digest, objectKey, size } = blob
          if (index % 2 === 0)
            await one.putManifest(repository, imageManifest({ config: digest, tags: ['v1'] }))
          assert.ok(await one.quarantineBlob({ digest, objectKey, kind: 'corrupt', detail: 'rotten' }))
          const stray = { key: newObjectKey(), size }
          await one.noteStrays([stray])
          await one.noteStrayDigest(stray.key, digest)
          return { repository, blob, stray, isNamed: index % 2 === 0, isPushed: index % 3 > 0 }
        })
        clock.time += keep.graceMs
        const collecting = soon(collect)
        const discarding = soon(() => two.discardStrays(new Date(clock.time), 500))
        const answers = await inParallel(made, async each => {
          const { repository, blob, stray, isPushed } = each
          const [pushed, healed, found] = await Promise.all([
            isPushed ? soon(() => racing.pushAgain(one, repository, blob.digest, blob.size)) : undefined,
            soon(() => two.healBlob(blob.digest, stray)),
            isTold(soon(() => one.findBlob(repository, blob.digest))),
          ])
          return { ...each, pushed, healed, found }
        })
        await Promise.all([collecting, discarding])
        clock.time += keep.objectDelayMs
        await racing.sweep(two)
        await inParallel(answers, async ({ repository, blob, isNamed, pushed, healed, found }) => {
          if (pushed !== undefined) racing.assertReadable(pushed)
          // What was healed and is not named may have gone since.
          if (pushed !== undefined || found || (healed && isNamed))
            await racing.use(one, repository, blob.digest)
          told.pushed += Number(pushed !== undefined)
          told.healed += Number(healed)
          told.found += Number(found)
        })
      }
      assert.ok(told.pushed > 0 && told.healed > 0, JSON.stringify(told))
      context.diagnostic(JSON.stringify(told))
    })

    it('a tag expires at the instant at which it is pushed, renamed, or pulled', async () => {
      const [one, two] = [opened.metadata, opened.replica]
      for (let round = 0; round < rounds * times; round++) {
        const repository = racing.freshOf('e')
        const to = racing.freshOf('e')
        const blob = await commitText(one, repository, `expires ${round} ${name}`, clock.time)
        const image = imageManifest({ config: blob.digest, tags: ['v1'] })
        await one.putManifest(repository, image)
        clock.time += keep.undeleteMs
        const { digest, pushedAt: setAt } = (await one.findTagFacts(repository, v1)) ?? assert.fail()
        const [expired, isPushed, isRenamed] = await Promise.all([
          soon(() => one.expireTag({ repository, tag: v1, digest, setAt })),
          round % 2 === 0 && isTold(soon(() => two.putManifest(repository, image))),
          round % 3 === 0 && isTold(soon(() => two.renameRepository({ from: repository, to }))),
          soon(collect),
        ])
        const now = isRenamed ? to : repository
        if (isPushed || !expired) {
          const holders = [now, repository]
          const found = await Promise.all(
            holders.map(each => isTold(one.statManifest(each, parseReference('v1')))),
          )
          assert.ok(found.includes(true), `round ${round}: the tag is gone`)
        } else {
          await one.restoreTag(now, v1, digest)
        }
      }
    })

    it('and what the tenants use is what they have, when all that is over', async () => {
      const { metadata } = opened
      for (let settled = 0; settled < 8; settled++) {
        clock.time += keep.graceMs
        while ((await metadata.forgetDeletedManifests(500)) > 0);
        while ((await metadata.reviewManifests(policy, 500)).seen > 0);
        while ((await metadata.reviewLinks(500)).seen > 0);
        while ((await metadata.reviewRepositories(500)).seen > 0);
      }
      while ((await metadata.foldUsage(1000)) > 0);
      for (const tenant of ['a', 'b', 'c', 'd', 'e']) {
        const name = parseRepositoryName(tenant)
        const usage = await metadata.getUsage(tenantOf(name))
        assert.deepEqual(await metadata.recountUsage(tenantOf(name)), usage, tenant)
      }
      for (const table of ['deleted_manifests', 'deleted_references', 'stray_objects'])
        assert.deepEqual(await opened.rows(`select * from ${table}`), [], table)
      const faults = await opened.rows(
        'select * from blob_faults where digest not in (select digest from blobs)',
      )
      assert.deepEqual(faults, [])
    })
  })
}

races('SQLite', { rounds: 12, width: 4 }, openSqliteTwice)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  races('PostgreSQL', { rounds: 12, width: 12 }, (now, times) => openPostgresTwice(server, now, times))
})
