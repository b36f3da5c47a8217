import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { extname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config.ts'
import { DomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { createClusterMetrics, type MetricsText } from '../../metrics/metrics.ts'
import type { HealthChecks } from '../../registry/health.ts'
import type { Stores } from './stores.ts'
import { type FromWorker, isFromWorker, type ToWorker } from './worker-messages.ts'

export interface Workers {
  /** `host:port` that all of them listen on. */
  readonly address: string
  /** Of all of them together. */
  readonly metrics: MetricsText
  readonly checks: HealthChecks
  /** Lets running requests end. Idempotent. */
  close(): Promise<void>
}

/** How long after a worker has ended the next one is started, so that one that cannot live does not keep us busy. */
const restartMs = 1_000

/** A worker that has not ended so long after it should have is killed. */
const stopGraceMs = 5_000

/**
 * Starts `registry.workers` processes and keeps their number. The kernel's sockets are ours: Node hands each
 * connection to the next worker in turn.
 *
 * @throws DomainError that the first worker could not start with.
 */
export async function startWorkers(config: Config, stores: Stores, log: Logger): Promise<Workers> {
  // The compiled program has other extensions than the sources.
  cluster.setupPrimary({
    exec: join(import.meta.dirname, `worker${extname(import.meta.filename)}`),
    args: [],
  })
  const pool = new WorkerPool(config, log)
  try {
    await pool.start()
  } catch (error) {
    await pool.close()
    throw error
  }
  // Whoever moves the file of the audit log away knows only this process.
  const pass = (): void => pool.signal('SIGHUP')
  if (config.audit.file !== undefined) process.on('SIGHUP', pass)
  return {
    address: pool.address,
    metrics: createClusterMetrics(),
    checks: {
      metadata: options => stores.metadata.ping(options),
      objects: options => stores.objects.ping(options),
      workers: async () => pool.check(),
    },
    close: async () => {
      process.off('SIGHUP', pass)
      await pool.close()
    },
  }
}

class WorkerPool {
  readonly #config: Config
  readonly #log: Logger
  /** Those that serve. */
  readonly #listening = new Set<Worker>()
  readonly #alive = new Set<Worker>()
  readonly #closing = new AbortController()
  #address = ''
  #closed: Promise<void> | undefined

  constructor(config: Config, log: Logger) {
    this.#config = config
    this.#log = log
  }

  get address(): string {
    return this.#address
  }

  /** One first: where it cannot start the others cannot either. With port 0 Node gives all of them the same one. */
  async start(): Promise<void> {
    this.#address = await this.#startOne()
    await Promise.all(Array.from({ length: this.#config.registry.workers - 1 }, () => this.#startOne()))
  }

  check(): void {
    if (this.#closing.signal.aborted)
      throw new DomainError('unavailable', 'The registry is stopping.', { resource: 'request' })
    if (this.#listening.size === 0)
      throw new DomainError('unavailable', 'No worker serves requests now.', { resource: 'request' })
  }

  /** To each of them. */
  signal(name: NodeJS.Signals): void {
    for (const worker of this.#alive) worker.process.kill(name)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    const patienceMs = 2 * this.#config.registry.drainSeconds * 1000 + stopGraceMs
    await Promise.all(
      [...this.#alive].map(async worker => {
        const kill = setTimeout(() => worker.process.kill('SIGKILL'), patienceMs)
        tell(worker, { type: 'stop' })
        await ended(worker)
        clearTimeout(kill)
      }),
    )
  }

  /** @returns the address that it listens on. */
  async #startOne(): Promise<string> {
    const worker = cluster.fork()
    this.#alive.add(worker)
    worker.once('exit', (code, signal) => this.#onExit(worker, code, signal))
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    worker.on('message', (message: unknown) => {
      if (!isFromWorker(message)) return
      if (message.type === 'failed') reject(errorOf(message))
      else resolve(message.address)
    })
    worker.once('exit', (code, signal) =>
      reject(new Error(`a worker ended at its start (${signal || code})`)),
    )
    worker.once('online', () => tell(worker, { type: 'start', config: this.#config }))
    const address = await promise
    this.#listening.add(worker)
    return address
  }

  #onExit(worker: Worker, code: number, signal: string): void {
    this.#alive.delete(worker)
    const wasServing = this.#listening.delete(worker)
    if (this.#closing.signal.aborted || !wasServing) return
    this.#log.error({ code, signal, pid: worker.process.pid }, 'a worker has ended; another one is started')
    void this.#replace()
  }

  async #replace(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await sleep(restartMs, undefined, { signal })
        await this.#startOne()
        return
      } catch (error) {
        if (!signal.aborted) this.#log.error({ error }, 'a worker could not be started')
      }
    }
  }
}

function tell(worker: Worker, message: ToWorker): void {
  // That it could not be told is known by its end.
  if (worker.isConnected()) worker.send(message, () => {})
}

async function ended(worker: Worker): Promise<void> {
  if (!worker.isDead()) await once(worker, 'exit')
}

function errorOf({ message, code, details }: FromWorker & { type: 'failed' }): Error {
  return code === undefined || details === undefined
    ? new Error(message)
    : new DomainError(code, message, details)
}
