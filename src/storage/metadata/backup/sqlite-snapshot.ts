import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DomainError, errnoOf } from '../../../errors.ts'
import { type Abortable, orAbort } from '../../abortable.ts'
import { fromSqliteCode } from '../sqlite-errors.ts'
import type { MetadataSnapshot, Row, SnapshotShape, TableShape } from './snapshot.ts'
import { isSnapshotAnswer, type SnapshotAnswer, type SnapshotQuestion } from './snapshot-messages.ts'

/**
 * A snapshot of a SQLite file that others are writing to: a copy beside it, checked, which goes when the snapshot is
 * disposed of. Only one at a time: what an earlier one has left behind when it was killed is removed.
 *
 * @throws DomainError `no_space` when the copy does not fit on the disk, `unavailable` when the file is damaged.
 */
export async function openSqliteSnapshot(path: string, options?: Abortable): Promise<MetadataSnapshot> {
  options?.signal?.throwIfAborted()
  await removeCopies(path)
  const copy = `${path}${copySuffix}${randomBytes(6).toString('hex')}`
  const thread = new SnapshotThread(path, copy)
  try {
    const answer = await thread.ask({ kind: 'begin', path, copy }, options)
    if (answer.kind !== 'shape') throw new Error(`the thread of a snapshot answers ${answer.kind}`)
    return new SqliteSnapshot(answer.shape, thread)
  } catch (error) {
    await thread[Symbol.asyncDispose]()
    throw error
  }
}

const copySuffix = '-snapshot-'

async function removeCopies(path: string): Promise<void> {
  try {
    const prefix = `${basename(path)}${copySuffix}`
    for (const name of await readdir(dirname(path)))
      if (name.startsWith(prefix)) await rm(join(dirname(path), name), { force: true })
  } catch (cause) {
    throw new DomainError(
      'unavailable',
      `The directory of the database ${path} cannot be used (${errnoOf(cause) ?? 'no reason given'}).`,
      { resource: 'database', name: path },
      { cause },
    )
  }
}

class SqliteSnapshot implements MetadataSnapshot {
  readonly shape: SnapshotShape
  readonly #thread: SnapshotThread

  constructor(shape: SnapshotShape, thread: SnapshotThread) {
    this.shape = shape
    this.#thread = thread
  }

  async *rows(table: TableShape, options?: Abortable): AsyncGenerator<readonly Row[]> {
    for (let goesOn = false; ; goesOn = true) {
      const answer = await this.#thread.ask({ kind: 'rows', table, goesOn }, options)
      if (answer.kind !== 'rows' || answer.rows.length === 0) return
      yield answer.rows
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]()
  }
}

/** Answers one question after the other. When nobody waits for an answer any more, it has to be disposed of. */
class SnapshotThread implements AsyncDisposable {
  readonly #path: string
  readonly #copy: string
  readonly #worker: Worker
  #waiting: PromiseWithResolvers<SnapshotAnswer> | undefined

  constructor(path: string, copy: string) {
    this.#path = path
    this.#copy = copy
    // The compiled program has other extensions than the sources.
    const file = join(import.meta.dirname, `sqlite-snapshot-thread${extname(import.meta.filename)}`)
    this.#worker = new Worker(file, { execArgv: [], env: {}, name: 'snapshot' })
    this.#worker.on('message', (message: unknown) => {
      if (isSnapshotAnswer(message)) this.#waiting?.resolve(message)
    })
    this.#worker.on('error', error => this.#waiting?.reject(this.#unavailable('has failed', error)))
    this.#worker.on('exit', () => this.#waiting?.reject(this.#unavailable('has ended')))
  }

  /** @throws DomainError. */
  async ask(question: SnapshotQuestion, { signal }: Abortable = {}): Promise<SnapshotAnswer> {
    signal?.throwIfAborted()
    this.#waiting = Promise.withResolvers()
    // Nobody may be waiting for it when it fails.
    this.#waiting.promise.catch(() => {})
    this.#worker.postMessage(question)
    const answer = await orAbort(this.#waiting.promise, signal)
    if (answer.kind === 'failed') throw this.#failure(answer)
    if (answer.kind === 'damaged')
      throw new DomainError(
        'unavailable',
        `The database ${this.#path} is damaged (${answer.findings.join('; ').slice(0, 500)}); restore a backup.`,
        { resource: 'database', name: this.#path },
      )
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${this.#copy}${suffix}`, { force: true })
  }

  #failure({ message, errcode }: SnapshotAnswer & { kind: 'failed' }): Error {
    const error = new Error(message)
    const known = errcode === undefined ? undefined : fromSqliteCode(errcode, this.#path, error)
    return known ?? error
  }

  #unavailable(how: string, cause?: unknown): DomainError {
    return new DomainError(
      'unavailable',
      `The database ${this.#path} cannot be copied: the thread that does it ${how}.`,
      { resource: 'database', name: this.#path },
      { cause },
    )
  }
}
