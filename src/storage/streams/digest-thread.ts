import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DomainError } from '../../errors.ts'
import { type Digest, type DigestAlgorithm, parseDigest } from '../digest.ts'
import { type DigestAnswer, type DigestWork, isDigestAnswer } from './digest-thread-messages.ts'

/** A running digest whose bytes are read by another thread. Disposed of, it takes no more bytes. */
export interface ThreadDigester extends Disposable {
  /**
   * Resolves when the bytes have been read; until then nobody may change them. Those of a SharedArrayBuffer are not
   * copied. Several calls may be under way. @throws DomainError `unavailable` when the thread has ended.
   */
  update(bytes: Uint8Array): Promise<void>
  /** The digest of all bytes. Called once, at the end. @throws DomainError `unavailable` when the thread has ended. */
  digest(): Promise<Digest>
}

/**
 * A thread that computes digests, so that a process sends bytes and checks them at the same time. It starts with the
 * first digest, does not keep the process alive, and is replaced when it dies.
 */
export class DigestThread implements AsyncDisposable {
  #running: RunningThread | undefined
  #isClosed = false

  begin(algorithm: DigestAlgorithm): ThreadDigester {
    if (this.#isClosed) throw ended()
    this.#running ??= new RunningThread(() => {
      this.#running = undefined
    })
    return this.#running.begin(algorithm)
  }

  /** What is under way fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#running?.terminate()
  }
}

class RunningThread {
  readonly #worker: Worker
  /** What waits for an answer, in order, by `id`. */
  readonly #waiting = new Map<number, PromiseWithResolvers<DigestAnswer>[]>()
  #nextId = 0
  #failure: DomainError | undefined

  constructor(onEnd: () => void) {
    // The compiled program has other extensions than the sources.
    const file = join(import.meta.dirname, `digest-worker${extname(import.meta.filename)}`)
    this.#worker = new Worker(file, { execArgv: [], env: {}, name: 'digests' })
    this.#worker.on('message', (message: unknown) => {
      if (isDigestAnswer(message)) this.#waiting.get(message.id)?.shift()?.resolve(message)
    })
    this.#worker.on('error', cause => this.#fail(ended(cause), onEnd))
    this.#worker.on('exit', () => this.#fail(ended(), onEnd))
    // Only now: whoever listens to it keeps the process alive again.
    this.#worker.unref()
  }

  begin(algorithm: DigestAlgorithm): ThreadDigester {
    const id = this.#nextId
    this.#nextId += 1
    this.#waiting.set(id, [])
    this.#post({ id, kind: 'begin', algorithm })
    return {
      update: async bytes => {
        // A copy of a view is one of all the memory that it is a view of.
        const own = bytes.buffer instanceof SharedArrayBuffer ? bytes : bytes.slice()
        await this.#ask({ id, kind: 'update', bytes: own })
      },
      digest: async () => parseDigest((await this.#ask({ id, kind: 'end' })).digest ?? ''),
      [Symbol.dispose]: () => {
        this.#waiting.delete(id)
        this.#post({ id, kind: 'drop' })
      },
    }
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  async #ask(work: DigestWork): Promise<DigestAnswer> {
    const answers = this.#waiting.get(work.id)
    if (answers === undefined) throw this.#failure ?? new Error('the digester has been disposed of')
    const answer = Promise.withResolvers<DigestAnswer>()
    answers.push(answer)
    this.#post(work)
    return await answer.promise
  }

  #post(work: DigestWork): void {
    if (this.#failure === undefined) this.#worker.postMessage(work)
  }

  #fail(failure: DomainError, onEnd: () => void): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    for (const answers of this.#waiting.values()) for (const answer of answers) answer.reject(failure)
    this.#waiting.clear()
    onEnd()
  }
}

/** The next digest gets another thread. */
function ended(cause?: unknown): DomainError {
  return new DomainError(
    'unavailable',
    'The bytes cannot be checked now: the thread that computes digests has ended; try again in a moment.',
    { resource: 'blob' },
    { cause },
  )
}
