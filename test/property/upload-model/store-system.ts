import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { isDomainError } from '../../../src/errors.ts'
import type { BlobWriter, RepositoryBlobs, UploadId } from '../../../src/storage/blobs/blob-store.ts'
import type { Digest, DigestAlgorithm } from '../../../src/storage/digest.ts'
import type { RepositoryName } from '../../../src/storage/reference.ts'
import { type TestBlobStore, testSettings } from '../../support/blob-store.ts'
import {
  cancelled,
  committed,
  gone,
  movedAt,
  type Outcome,
  openAt,
  type UploadSystem,
  wrongDigest,
} from './system.ts'

export interface StoreSession {
  readonly id: UploadId
  /** Where it stood whenever that was told, the latest last. */
  readonly told: number[]
}

/** The same client, without HTTP in between. Its restarts leave writers behind that never let go of their sessions. */
export class StoreUploadSystem implements UploadSystem<StoreSession> {
  readonly #opened: TestBlobStore
  readonly #name: RepositoryName
  readonly #sessions: UploadId[] = []
  #isReplica = false

  constructor(opened: TestBlobStore, name: RepositoryName) {
    this.#opened = opened
    this.#name = name
  }

  async open(algorithm: DigestAlgorithm | undefined): Promise<StoreSession> {
    await using writer = await this.#blobs.create({ algorithm })
    this.#sessions.push(writer.id)
    return { id: writer.id, told: [0] }
  }

  append(session: StoreSession, chunks: readonly Buffer[], at?: number): Promise<Outcome> {
    return this.#within(session, async writer => {
      session.told.push(await writer.write(Readable.from(chunks), { at }))
      return openAt(writer.offset)
    })
  }

  async replay(session: StoreSession, bytes: Buffer, age: number): Promise<Outcome> {
    const at = session.told.at(-1 - age)
    assert.notEqual(at, undefined)
    return this.append(session, [bytes], at)
  }

  async breakOff(session: StoreSession, bytes: Buffer, sent: number): Promise<void> {
    const failure = new Error('broken off')
    const body = Readable.from(
      (async function* () {
        yield bytes.subarray(0, sent)
        throw failure
      })(),
    )
    await this.#within(session, async writer => {
      await assert.rejects(writer.write(body), (error: unknown) => error === failure || isDomainError(error))
      session.told.push(writer.offset)
      return openAt(writer.offset)
    })
  }

  async race(session: StoreSession, one: Buffer, other: Buffer): Promise<readonly [Outcome, Outcome]> {
    let lost: Outcome = gone
    const won = await this.#within(session, async writer => {
      lost = await this.append(session, [other])
      session.told.push(await writer.write(Readable.from([one])))
      // The loser is told where the session stands when the winner is done.
      if (lost.kind === 'moved') lost = movedAt(writer.offset)
      return openAt(writer.offset)
    })
    // A tombstone has its writers, too, one at a time, of whom none can write.
    return [won, won.kind === 'gone' ? gone : lost]
  }

  async status({ id }: StoreSession): Promise<Outcome> {
    try {
      return openAt((await this.#blobs.status(id)).offset)
    } catch (error) {
      return outcomeOf(error)
    }
  }

  commit(session: StoreSession, digest: Digest, last?: { bytes: Buffer; at: number }): Promise<Outcome> {
    return this.#within(session, async writer => {
      if (last !== undefined) await writer.write(Readable.from([last.bytes]), { at: last.at })
      await writer.commit({ digest })
      return committed
    })
  }

  cancel(session: StoreSession): Promise<Outcome> {
    return this.#within(session, async writer => {
      await writer.cancel()
      return cancelled
    })
  }

  async read(digest: Digest): Promise<Buffer | undefined> {
    try {
      return await buffer((await this.#blobs.open(digest)).stream)
    } catch (error) {
      if (isDomainError(error, 'not_found')) return undefined
      throw error
    }
  }

  /**
   * The other replica goes on, after the leases of writers that were in the middle of something have run out. These
   * wake up when it has taken over, and want to go on as well.
   */
  async restart(): Promise<void> {
    const abandoned = await Promise.all(this.#sessions.map(id => abandonWriter(this.#blobs, id)))
    this.#opened.advance(testSettings.leaseMs + 1)
    this.#isReplica = !this.#isReplica
    for (const id of this.#sessions) await this.#within({ id, told: [] }, async () => openAt(0))
    for (const wake of abandoned) await wake()
  }

  async #within({ id }: StoreSession, work: (writer: BlobWriter) => Promise<Outcome>): Promise<Outcome> {
    try {
      await using writer = await this.#blobs.resume(id)
      return await work(writer)
    } catch (error) {
      return outcomeOf(error)
    }
  }

  get #blobs(): RepositoryBlobs {
    const { blobs, replica } = this.#opened
    return (this.#isReplica ? replica : blobs).repository(this.#name)
  }
}

function outcomeOf(error: unknown): Outcome {
  if (isDomainError(error, 'not_found')) return gone
  if (isDomainError(error, 'digest_mismatch')) return wrongDigest
  if (isDomainError(error, 'out_of_range', 'busy')) return movedAt(error.details.offset ?? 0)
  throw error
}

/** Begins to write more than a part into a session, and stalls. Answers what lets the writer end, which must fail. */
async function abandonWriter(blobs: RepositoryBlobs, id: UploadId): Promise<() => Promise<void>> {
  const writer = await blobs.resume(id).catch(() => undefined)
  if (writer === undefined) return async () => {}
  const [stalled, awake] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const body = (async function* () {
    yield randomBytes(2 * testSettings.partSizeBytes + 10)
    stalled.resolve()
    await awake.promise
    yield randomBytes(10)
  })()
  // Asked for only when the bytes before have been taken.
  const writing = writer.write(Readable.from(body, { highWaterMark: 0 }))
  const ended = writing.then(
    () => assert.fail('a writer that was followed by another one has gone on'),
    (error: unknown) => assert.ok(isDomainError(error, 'conflict', 'not_found'), String(error)),
  )
  await Promise.race([stalled.promise, ended])
  return async () => {
    awake.resolve()
    await ended
    await writer[Symbol.asyncDispose]()
  }
}
