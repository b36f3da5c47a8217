import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { tenantOf } from '../../../src/storage/accounts/names.ts'
import type { KeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import { parseReference, parseRepositoryName } from '../../../src/storage/reference.ts'
import type { OpenedMetadata } from '../../contract/metadata.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { inParallel, isTold, Racing } from '../../support/racing.ts'
import { commitText, indexOf, looseManifest } from '../../support/records.ts'

/** The delay is short, so that what goes is garbage that may be deleted as soon as the clock moves. */
const keep: KeepTimes = { graceMs: 1000, objectDelayMs: 1, undeleteMs: 1000, keepDamagedMs: 1000 }
const policy = { untaggedMs: 1000, referrers: 'delete' } as const

/**
 * `width` blobs are raced for at the same time.
 *
 * Pushers ask, mount and push again at the instant at which the collection takes away what they ask for. Each then
 * does what a client does with such an answer: it names the blob in a manifest, or reads it.
 */
function races(
  name: string,
  { rounds, width }: { readonly rounds: number; readonly width: number },
  open: (now: () => number, keep: KeepTimes) => Promise<OpenedMetadata>,
): void {
  describe(`Races with the garbage collection on ${name}`, () => {
    const clock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    before(async () => {
      opened = await open(() => clock.time, keep)
    })
    after(() => opened.close())

    const racing = new Racing(clock)
    const soon = <Result>(run: () => Promise<Result>) => racing.soon(run)
    const freshOf = (tenant: string) => racing.freshOf(tenant)
    const collect = () =>
      racing.takingAway(() =>
        Promise.all([
          opened.metadata.reviewLinks(500),
          soon(() => opened.replica.reviewLinks(4)),
          soon(() => racing.sweep(opened.metadata)),
        ]),
      )

    it('no answer that a blob is there is followed by a missing blob', async context => {
      const told = { head: 0, mount: 0, push: 0, not: 0 }
      const [one, two] = [opened.metadata, opened.replica]
      for (let round = 0; round < rounds; round++) {
        const raced = await inParallel([...Array(width).keys()], async index => {
          const [here, there] = [freshOf('a'), freshOf(index % 2 === 0 ? 'a' : 'b')]
          const blob = await commitText(one, here, `raced ${round} ${index} ${name}`, clock.time)
          return { here, there, blob, isPushed: index % 3 === 0 }
        })
        clock.time += keep.graceMs / 4
        // First looks are over, and soon its time is.
        if (round % 2 === 0) await one.reviewLinks(500)
        clock.time += keep.graceMs
        const collecting = soon(collect)
        const answers = await inParallel(raced, async ({ here, there, blob: { digest, size }, isPushed }) => {
          const [wasThere, wasMounted, pushed] = await Promise.all([
            isTold(soon(() => one.findBlob(here, digest))),
            isTold(soon(() => two.linkBlob({ repository: there, from: here, digest }))),
            isPushed ? soon(() => racing.pushAgain(two, freshOf('b'), digest, size)) : undefined,
          ])
          return { here, there, digest, wasThere, wasMounted, pushed }
        })
        await collecting
        // Whatever was let go of may be deleted by now.
        clock.time += keep.objectDelayMs
        await racing.sweep(two)
        await inParallel(answers, async ({ here, there, digest, wasThere, wasMounted, pushed }) => {
          if (pushed !== undefined) racing.assertReadable(pushed)
          if (wasThere) await racing.use(one, here, digest)
          if (wasMounted) await racing.use(two, there, digest)
          told.head += Number(wasThere)
          told.mount += Number(wasMounted)
          told.push += Number(pushed !== undefined)
          told.not += Number(!wasThere)
        })
      }
      assert.equal(told.head + told.not, rounds * width)
      assert.ok(told.push > 0)
      context.diagnostic(JSON.stringify(told))
    })

    it('a blob is pushed again while its last link goes', async () => {
      const [one, two] = [opened.metadata, opened.replica]
      for (let round = 0; round < rounds; round++) {
        const raced = await inParallel([...Array(width).keys()], async index => {
          const [here, again] = [freshOf('c'), freshOf(index % 2 === 0 ? 'c' : 'd')]
          const blob = await commitText(one, here, `again ${round} ${index} ${name}`, clock.time)
          return { here, again, blob, isUnlinked: index % 4 === 0 }
        })
        clock.time += keep.graceMs
        const collecting = soon(collect)
        const pushed = await inParallel(
          raced,
          async ({ here, again, blob: { digest, size }, isUnlinked }) => {
            const [first, second] = await Promise.all([
              racing.pushAgain(one, again, digest, size),
              racing.pushAgain(two, here, digest, size),
              isUnlinked ? isTold(one.unlinkBlob(here, digest)) : undefined,
            ])
            return { again, digest, first, second: isUnlinked ? undefined : second }
          },
        )
        await collecting
        clock.time += keep.objectDelayMs
        await racing.sweep(one)
        await inParallel(pushed, async ({ again, digest, first, second }) => {
          racing.assertReadable(first)
          if (second !== undefined) racing.assertReadable(second)
          await racing.use(two, again, digest)
        })
      }
    })

    it('an index names an image at the instant at which that goes', async () => {
      const [one, two] = [opened.metadata, opened.replica]
      for (let round = 0; round < rounds; round++) {
        const repository = freshOf('e')
        const image = looseManifest(`image ${round} ${name}`)
        await one.putManifest(repository, image)
        clock.time += policy.untaggedMs
        const [isThere] = await Promise.all([
          isTold(soon(() => one.statManifest(repository, parseReference(image.digest)))),
          soon(() => two.reviewManifests(policy, 500)),
          soon(() => one.reviewManifests(policy, 500)),
        ])
        if (!isThere) continue
        clock.time += keep.graceMs / 2 - 1
        await two.reviewManifests(policy, 500)
        await two.putManifest(repository, indexOf([image.digest], 'all'))
      }
    })

    it('an empty repository vanishes while somebody puts something into it', async () => {
      while ((await opened.metadata.reviewRepositories(500)).seen > 0);
      for (let round = 0; round < rounds; round++) {
        const repository = freshOf('f')
        const [one, two] = [opened.metadata, opened.replica]
        await one.putManifest(repository, looseManifest('first', 'v1'))
        await one.deleteManifest(repository, looseManifest('first').digest)
        clock.time += keep.graceMs
        await Promise.all([
          one.reviewRepositories(500),
          round % 2 === 0
            ? two.putManifest(repository, looseManifest('second', 'v1'))
            : commitText(two, repository, `in ${repository}`, clock.time),
          two.reviewRepositories(500),
        ])
        assert.ok(await one.hasRepository(repository))
      }
    })

    it('and what the tenants use is what they have, when all that is over', async () => {
      const { metadata } = opened
      for (let settled = 0; settled < 8; settled++) {
        clock.time += keep.graceMs
        while ((await metadata.reviewLinks(500)).seen > 0);
        while ((await metadata.reviewRepositories(500)).seen > 0);
      }
      while ((await metadata.foldUsage(1000)) > 0);
      for (const tenant of ['a', 'b', 'c', 'd', 'e', 'f']) {
        const name = parseRepositoryName(tenant)
        const usage = await metadata.getUsage(tenantOf(name))
        assert.deepEqual(await metadata.recountUsage(tenantOf(name)), usage, tenant)
      }
    })
  })
}

races('SQLite', { rounds: 40, width: 3 }, openSqliteTwice)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  races('PostgreSQL', { rounds: 50, width: 10 }, (now, times) => openPostgresTwice(server, now, times))
})
