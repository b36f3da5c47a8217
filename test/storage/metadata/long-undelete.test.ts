import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../../src/storage/digest.ts'
import { hourMs } from '../../../src/storage/durations.ts'
import { defaultKeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import { parseRepositoryName, type RepositoryName } from '../../../src/storage/reference.ts'
import type { OpenedMetadata } from '../../contract/metadata.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { commitText, imageManifest } from '../../support/records.ts'

const dayMs = 24 * hourMs
/** With equal times, as they are by default, it does not show which of them decides. */
const keep = { ...defaultKeepTimes, graceMs: dayMs, undeleteMs: 7 * dayMs }

describe('Blobs of what can be taken back for longer than the grace', () => {
  const stack = new AsyncDisposableStack()
  after(() => stack.disposeAsync())

  describe('SQLite', () => longUndelete(now => openSqliteTwice(now, keep)))
  describe('PostgreSQL', async () => {
    const skip = await skipWithout('postgres')
    if (skip === false)
      longUndelete(async now => openPostgresTwice(stack.use(await startPostgres()), now, keep))
  })
})

function longUndelete(open: (now: () => number) => Promise<OpenedMetadata>): void {
  let now = Date.UTC(2026, 0, 1)
  let opened: OpenedMetadata
  before(async () => {
    opened = await open(() => now)
  })
  after(() => opened.close())

  /** All that is due goes, as the garbage collection does it. */
  async function pass(ms: number): Promise<void> {
    now += ms
    while ((await opened.metadata.forgetDeletedManifests(3)) > 0);
    while ((await opened.metadata.reviewLinks(7)).seen === 7);
  }

  /** An image that was pushed long ago, and its layer, which others may have, too. */
  async function pushed(repository: RepositoryName, text: string, mark: string) {
    const { metadata } = opened
    const config = await commitText(metadata, repository, `config of ${mark}`, now)
    const layer = await commitText(metadata, repository, text, now)
    const image = imageManifest({ config: config.digest, layers: [layer.digest] })
    await metadata.putManifest(repository, image)
    return { image: image.digest, layer: layer.digest }
  }

  /** Without being told so: that would be a promise. */
  const isKept = async (digest: Digest): Promise<boolean> =>
    (await opened.metadata.holdersOf(digest, 9)).length > 0

  it('go with it, and wait for no second grace', async () => {
    const repository = parseRepositoryName('long/one')
    const { image, layer } = await pushed(repository, 'one layer', 'one')
    await pass(30 * dayMs)
    await opened.metadata.deleteManifest(repository, image)
    for (let day = 1; day < 7; day += 1) await pass(dayMs)
    await pass(dayMs - 1)
    assert.ok(await isKept(layer))
    await pass(1)
    assert.equal(await isKept(layer), false)
  })

  it('stay as long as somebody was promised shortly before it goes', async () => {
    const repository = parseRepositoryName('long/promised')
    const { image, layer } = await pushed(repository, 'promised layer', 'promised')
    await pass(30 * dayMs)
    await opened.metadata.deleteManifest(repository, image)
    await pass(7 * dayMs - hourMs)
    assert.ok(await opened.metadata.findBlob(repository, layer))
    await pass(hourMs)
    await pass(dayMs - hourMs - 1)
    assert.ok(await isKept(layer))
    await pass(1)
    assert.equal(await isKept(layer), false)
  })

  it('are looked at again when the last of several goes, and not until then', async () => {
    const repository = parseRepositoryName('long/several')
    const first = await pushed(repository, 'shared layer', 'first')
    const second = await pushed(repository, 'shared layer', 'second')
    await pass(30 * dayMs)
    await opened.metadata.deleteManifest(repository, first.image)
    await pass(5 * dayMs)
    await opened.metadata.deleteManifest(repository, second.image)
    await pass(2 * dayMs)
    assert.ok(await isKept(first.layer))
    // Whoever looks every day has nothing to look at.
    for (let day = 1; day < 5; day += 1) {
      now += dayMs
      assert.equal((await opened.metadata.reviewLinks(7)).seen, 0, `${day} days later`)
    }
    await pass(dayMs)
    assert.equal(await isKept(first.layer), false)
  })

  it('are not looked at for ever where a manifest whose time is over has not been let go of yet', async () => {
    const repository = parseRepositoryName('long/late')
    const { image, layer } = await pushed(repository, 'late layer', 'late')
    await pass(30 * dayMs)
    await opened.metadata.deleteManifest(repository, image)
    now += 7 * dayMs
    assert.equal((await opened.metadata.reviewLinks(7)).seen, 2)
    assert.equal((await opened.metadata.reviewLinks(7)).seen, 0)
    assert.ok(await isKept(layer))
    await pass(0)
    assert.equal(await isKept(layer), false)
  })
}
