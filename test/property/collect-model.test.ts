import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { MemoryObjectStore } from '../../src/storage/objects/memory.ts'
import type { ObjectStore } from '../../src/storage/objects/object-store.ts'
import { S3ObjectStore } from '../../src/storage/objects/s3/s3-object-store.ts'
import { type OpenedTables, openPostgresTwice, openSqliteTwice } from '../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../support/postgres.ts'
import { skipWithout } from '../support/programs.ts'
import { type S3TestServer, skipWithoutS3, startS3Server } from '../support/s3-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { removing, Script, step } from './collect-model/script.ts'
import { type Clock, keep, World } from './collect-model/world.ts'

/** For long runs: so many times as many. */
const times = Number(process.env['RUNS'] || 1)

function property(
  name: string,
  runs: number,
  open: (now: () => number) => Promise<OpenedTables>,
  store: () => Promise<ObjectStore & AsyncDisposable>,
): void {
  describe(`Content on ${name}`, () => {
    const clock: Clock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedTables
    before(async () => {
      opened = await open(() => clock.time)
    })
    after(() => opened.close())

    it('stays while a tag leads to it or it was promised, and goes when neither is so', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), async steps => {
          await using objects = await store()
          const { metadata, rows } = opened
          const world = new World({ metadata, objects, clock, rows, run: randomUUID() })
          const script = new Script(world)
          for (const each of steps) {
            await script.do(each)
            if (removing.has(each.kind)) await world.check()
          }
          await script.settle()
          await world.check()
          await world.checkSettled()
        }),
        { numRuns: runs * times, endOnFailure: true },
      )
    })
  })
}

async function memory(): Promise<ObjectStore & AsyncDisposable> {
  return Object.assign(new MemoryObjectStore(Date.now), { [Symbol.asyncDispose]: async () => {} })
}

/** A server, and in it a place of its own for each run. */
class S3Place {
  #server: S3TestServer | undefined

  async start(): Promise<void> {
    this.#server = await startS3Server('versitygw')
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
  }

  async open(): Promise<ObjectStore & AsyncDisposable> {
    const { endpoint, region, bucket, credentials } = this.#server ?? assert.fail()
    const prefix = `${randomUUID()}/`
    return S3ObjectStore.open({
      ...{ endpoint, region, bucket, prefix, profile: 's3' },
      credentials: { ...credentials },
    })
  }
}

async function filesystem(): Promise<ObjectStore & AsyncDisposable> {
  const directory = await temporaryDirectory()
  const store = await FilesystemObjectStore.open(directory.path)
  return Object.assign(store, { [Symbol.asyncDispose]: () => directory.remove() })
}

property('SQLite and memory', 20, now => openSqliteTwice(now, keep), memory)
property('SQLite and a directory', 4, now => openSqliteTwice(now, keep), filesystem)

const noS3 = await skipWithoutS3('versitygw')

describe('SQLite and S3', { skip: noS3 }, () => {
  const s3 = new S3Place()
  before(() => s3.start())
  after(() => s3.stop())

  property(
    'SQLite and S3',
    3,
    now => openSqliteTwice(now, keep),
    () => s3.open(),
  )
})

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  property('PostgreSQL and a directory', 6, now => openPostgresTwice(server, now, keep), filesystem)

  describe('with S3', { skip: noS3 }, () => {
    const s3 = new S3Place()
    before(() => s3.start())
    after(() => s3.stop())

    property(
      'PostgreSQL and S3',
      2,
      now => openPostgresTwice(server, now, keep),
      () => s3.open(),
    )
  })
})
