import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../../src/errors.ts'
import { Scrubber } from '../../../src/registry/scrub/scrubber.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { ObjectKey } from '../../../src/storage/objects/keys.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import type { OpenedMetadata } from '../../contract/metadata.ts'
import { keysIn } from '../../contract/object-store.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { newUpload } from '../../support/records.ts'
import { testScrubSettings } from '../../support/scrub.ts'

const texts = Array.from({ length: 12 }, (_, index) => Buffer.from(`the text of blob number ${index}`))

/** Pushes, deletions and mounts of a few blobs whose objects rot meanwhile, while two processes scrub. */
function races(name: string, open: () => Promise<OpenedMetadata>): void {
  it(`on ${name}, only what is damaged is quarantined, and nothing leaks`, async () => {
    const opened = await open()
    const objects = new MemoryObjectStore()
    const repositories = ['a/x', 'a/y', 'b/x'].map(parseRepositoryName)
    const rotten = new Set<ObjectKey>()
    const sides = [opened.metadata, opened.replica]
    const any = <Item>(items: readonly Item[]): Item =>
      items[Math.floor(Math.random() * items.length)] ?? assert.fail()
    const unlessGone = (work: Promise<unknown>) =>
      work.catch((error: unknown) => {
        if (!isDomainError(error, 'not_found')) throw error
      })

    async function push(bytes: Buffer, repository = any(repositories)): Promise<void> {
      const metadata = any(sides)
      const upload = newUpload(repository, Date.now())
      await metadata.createUpload(upload)
      await objects.put(upload.objectKey, bytes)
      const digest = digestOf(bytes)
      await metadata.commitBlob({ ...upload, digest, size: bytes.length, uploadId: upload.id })
    }
    async function rot(): Promise<void> {
      for await (const { key } of objects.list('blobs/')) {
        if (Math.random() > 0.1) continue
        const isNamed = (await opened.metadata.listBlobs(undefined, 100)).some(blob => blob.objectKey === key)
        if (!isNamed) continue
        rotten.add(key)
        if (Math.random() < 0.5) await objects.delete([key])
        else await objects.put(key, Buffer.from('x'))
      }
    }
    async function change(): Promise<void> {
      const digest = digestOf(any(texts))
      const kind = Math.random()
      if (kind < 0.6) await push(any(texts))
      else if (kind < 0.8) await unlessGone(any(sides).unlinkBlob(any(repositories), digest))
      else await unlessGone(any(sides).linkBlob({ repository: any(repositories), from: undefined, digest }))
    }
    let faults = 0
    const scrub = (index: number) =>
      new Scrubber({
        records: sides[index % 2] ?? assert.fail(),
        objects,
        holder: `scrubber ${index}`,
        settings: testScrubSettings,
        onFault: ({ blob }) => {
          faults += 1
          assert.ok(rotten.has(blob.objectKey), `${blob.objectKey} is sound`)
        },
      }).tick({ asked: { begins: true, takesAll: true, bytesPerSecond: 0 } })

    for (const bytes of texts) await push(bytes)
    for (let round = 0; round < 25; round++)
      await Promise.all([
        scrub(round),
        scrub(round + 1),
        rot(),
        ...Array.from({ length: 12 }, () => sleep(Math.random() * 10).then(change)),
      ])
    for (let index = 0; index < 2; index++) await scrub(index)
    assert.ok(faults > 0)
    for (const repository of repositories)
      for (const bytes of texts) {
        const found = await opened.metadata.findBlob(repository, digestOf(bytes)).catch(() => undefined)
        if (found !== undefined) assert.ok(!rotten.has(found.objectKey))
      }
    for (const { digest, objectKey, isQuarantined } of await opened.metadata.listBlobs(undefined, 100))
      assert.equal(isQuarantined, rotten.has(objectKey), digest)

    for (const bytes of texts) for (const repository of repositories) await push(bytes, repository)
    assert.deepEqual(await opened.metadata.listFaults(undefined, 100), [])
    const blobs = await opened.metadata.listBlobs(undefined, 100)
    assert.deepEqual([blobs.length, blobs.some(({ isQuarantined }) => isQuarantined)], [texts.length, false])
    assert.equal((await opened.metadata.unknownObjects(await keysIn(objects))).size, 0)
    const garbage = new Set(await opened.metadata.listGarbage(10_000))
    assert.ok(!blobs.some(({ objectKey }) => garbage.has(objectKey)))
    await opened.close()
  })
}

describe('Races with a scrub', () => {
  races('SQLite', () => openSqliteTwice(Date.now))
})

describe('Races with a scrub, with a server', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  races('PostgreSQL', () => openPostgresTwice(server, Date.now))
})
