import { availableParallelism } from 'node:os'
import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DomainError } from '../../../errors.ts'
import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import { type BcryptAnswer, type BcryptWork, isBcryptAnswer } from './bcrypt-messages.ts'
import type { PasswordHasher } from './password.ts'

export interface BcryptThreadsOptions {
  /** Pieces of work that are done at once; 1 unless given, or 2 where there are more than two cores. */
  readonly threads?: number | undefined
  /** Pieces that may wait; 48 unless given: docker waits 15 seconds for a token, and one core does as many in that. */
  readonly waiting?: number | undefined
}

interface Job {
  readonly work: BcryptWork
  readonly done: PromiseWithResolvers<string | boolean>
  readonly signal: AbortSignal | undefined
}

/**
 * bcrypt in threads of its own. bcryptjs yields only every 100 ms, and a request that meets a few logins would wait for
 * each of them. Threads start with the first work, do not keep the process alive, and are replaced when they die.
 */
export class BcryptThreads implements PasswordHasher, AsyncDisposable {
  readonly #threads: number
  readonly #waiting: number
  readonly #idle: Worker[] = []
  /** What each busy thread does. */
  readonly #busy = new Map<Worker, Job>()
  #jobs: Job[] = []
  #isClosed = false

  constructor({ threads = availableParallelism() > 2 ? 2 : 1, waiting = 48 }: BcryptThreadsOptions = {}) {
    this.#threads = threads
    this.#waiting = waiting
  }

  async hash(password: string, setting: number | string, options?: Abortable): Promise<string> {
    return String(await this.#do({ kind: 'hash', password, setting }, options))
  }

  async compare(password: string, hash: string | null, cost: number, options?: Abortable): Promise<boolean> {
    return (await this.#do({ kind: 'compare', password, hash, cost }, options)) === true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const workers = [...this.#idle, ...this.#busy.keys()]
    for (const { done } of [...this.#busy.values(), ...this.#jobs]) done.reject(closed())
    this.#jobs = []
    this.#busy.clear()
    await Promise.all(workers.map(worker => worker.terminate()))
  }

  async #do(work: BcryptWork, { signal }: Abortable = {}): Promise<string | boolean> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw closed()
    // Those that nobody waits for any more make room first.
    this.#jobs = this.#jobs.filter(job => job.signal?.aborted !== true)
    if (this.#jobs.length >= this.#waiting) throw tooMany()
    const job: Job = { work, signal, done: Promise.withResolvers() }
    // Nobody may be waiting for it when it fails.
    job.done.promise.catch(() => {})
    this.#jobs.push(job)
    this.#next()
    return await orAbort(job.done.promise, signal)
  }

  #next(): void {
    while (this.#jobs.length > 0 && this.#busy.size < this.#threads) {
      const job = this.#jobs.shift()
      if (job === undefined || job.signal?.aborted === true) continue
      const worker = this.#idle.pop() ?? this.#start()
      this.#busy.set(worker, job)
      worker.postMessage(job.work)
    }
  }

  #start(): Worker {
    // The compiled program has other extensions than the sources.
    const file = join(import.meta.dirname, `bcrypt-thread${extname(import.meta.filename)}`)
    const worker = new Worker(file, { execArgv: [], env: {}, name: 'bcrypt' })
    worker.unref()
    worker.on('message', (message: unknown) => {
      if (!isBcryptAnswer(message)) return
      const job = this.#take(worker)
      this.#idle.push(worker)
      if (job !== undefined) settle(job, message)
      this.#next()
    })
    worker.on('error', error => {
      this.#take(worker)?.done.reject(failed('has failed', error))
    })
    worker.on('exit', () => {
      this.#take(worker)?.done.reject(failed('has ended'))
      const index = this.#idle.indexOf(worker)
      if (index >= 0) this.#idle.splice(index, 1)
      if (!this.#isClosed) this.#next()
    })
    return worker
  }

  #take(worker: Worker): Job | undefined {
    const job = this.#busy.get(worker)
    this.#busy.delete(worker)
    return job
  }
}

function settle({ done }: Job, answer: BcryptAnswer): void {
  if ('value' in answer) done.resolve(answer.value)
  else done.reject(failed(`says ${answer.failure}`))
}

function tooMany(): DomainError {
  return new DomainError('throttled', 'Too many logins are being checked now; try again in a moment.', {
    resource: 'account',
    retryAfterSeconds: 5,
  })
}

/** The next login gets another thread. */
function failed(how: string, cause?: unknown): DomainError {
  return new DomainError(
    'unavailable',
    `The password cannot be checked now: a thread of bcrypt ${how}.`,
    { resource: 'account' },
    { cause },
  )
}

function closed(): DomainError {
  return new DomainError('unavailable', 'The registry is stopping.', { resource: 'account' })
}
