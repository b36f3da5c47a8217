import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError, isAbort, isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ImportService } from '../import-service.ts'
import type { ImportJobs } from '../jobs/import-jobs.ts'

/** A pool that is open: what requests for it are answered with. */
export interface OpenPool extends AsyncDisposable {
  /** One line for people. */
  readonly description: string
  readonly service: ImportService
  readonly jobs: ImportJobs
  /** For small documents that live and die with the pool's images; private to root. */
  readonly recordsDirectory: string
  /** Asks the pool something small. @throws DomainError when it does not answer. */
  check(options?: Abortable): Promise<void>
  /** What is free in it. */
  availableBytes(): Promise<number>
}

/** A pool that is configured. */
export interface PoolToOpen {
  readonly name: string
  open(options: Abortable): Promise<OpenPool>
}

export interface PoolState {
  readonly name: string
  readonly open?: OpenPool | undefined
  /** Why it is not open. */
  readonly problem?: DomainError | undefined
}

export interface PoolsOptions extends Abortable {
  readonly log: Logger
  /** How long to wait before a pool is tried again. Milliseconds. */
  readonly retryMs?: number | undefined
}

/**
 * The pools of an agent, the default first. One that cannot be opened (exported, faulted) is tried again until it can,
 * and keeps nobody from using the others.
 */
export class Pools implements AsyncDisposable {
  readonly #states: Map<string, PoolState>
  readonly #closing = new AbortController()
  readonly #retries: Promise<void>[] = []

  private constructor(pools: readonly PoolToOpen[]) {
    this.#states = new Map(pools.map(({ name }) => [name, { name }]))
  }

  /** One after the other. @throws what the first one failed with, when none can be opened. */
  static async open(
    toOpen: readonly PoolToOpen[],
    { log, signal, retryMs = 15_000 }: PoolsOptions,
  ): Promise<Pools> {
    const pools = new Pools(toOpen)
    await using stack = new AsyncDisposableStack()
    stack.use(pools)
    for (const pool of toOpen) await pools.#try(pool, signal)
    const [first] = pools.list()
    if (first?.problem !== undefined && pools.#opened().length === 0) throw first.problem
    for (const pool of toOpen) {
      const { problem } = pools.#state(pool.name)
      if (problem === undefined) continue
      log.error({ pool: pool.name, error: problem }, 'a pool cannot be opened, and is tried again')
      pools.#retries.push(pools.#retry(pool, retryMs, log))
    }
    stack.move()
    return pools
  }

  /** @throws DomainError `not_found` for a pool that the agent does not have, `unavailable` while it is not open. */
  get(name: string | undefined): OpenPool {
    const { open, problem, name: own } = this.#state(name)
    if (open !== undefined) return open
    throw new DomainError(
      'unavailable',
      `The pool ${own} is not open, and is tried again: ${problem?.message ?? 'it is being opened.'}`,
      { resource: 'pool', name: own, retryAfterSeconds: 15 },
      { cause: problem },
    )
  }

  /** The default one first. */
  list(): PoolState[] {
    return [...this.#states.values()]
  }

  #state(name: string | undefined): PoolState {
    const state = name === undefined ? this.list()[0] : this.#states.get(name)
    if (state !== undefined) return state
    throw new DomainError(
      'not_found',
      `The agent has no pool ${name ?? ''}; it has ${[...this.#states.keys()].join(', ')}.`,
      { resource: 'pool', name },
    )
  }

  #opened(): OpenPool[] {
    return this.list().flatMap(({ open }) => open ?? [])
  }

  /** @throws what is no DomainError, and the abort. */
  async #try(pool: PoolToOpen, signal: AbortSignal | undefined): Promise<boolean> {
    const { name } = pool
    try {
      this.#states.set(name, { name, open: await pool.open({ signal }) })
      return true
    } catch (error) {
      if (!isDomainError(error)) throw error
      this.#states.set(name, { name, problem: error })
      return false
    }
  }

  async #retry(pool: PoolToOpen, retryMs: number, log: Logger): Promise<void> {
    const { signal } = this.#closing
    try {
      do await sleep(retryMs, undefined, { signal, ref: false })
      while (!(await this.#try(pool, signal)))
      log.info({ pool: pool.name }, 'a pool that could not be opened is there now')
    } catch (error) {
      if (!isAbort(error)) log.error({ pool: pool.name, error }, 'a pool is given up until the next start')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('the agent is closing', 'AbortError'))
    await Promise.allSettled(this.#retries)
    await using opened = new AsyncDisposableStack()
    for (const pool of this.#opened()) opened.use(pool)
  }
}
