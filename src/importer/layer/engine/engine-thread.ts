import { type ResourceLimits, type Transferable, Worker } from 'node:worker_threads'
import { errnoOf } from '../../../errors.ts'
import { layerTooLarge } from '../layer-errors.ts'

export interface EngineThreadOptions {
  /** The program of the thread: it takes a job as a message. */
  readonly file: URL
  /** Bytes of JavaScript's own memory: the names of a layer's entries, not its content. */
  readonly heapBytes: number
}

const mebibyte = 1024 * 1024
/**
 * Small, so that it is collected often: each chunk's memory hangs on an object in it. Measured with chunks of 256 KiB: 90
 * MiB less than with 16, at the same speed.
 */
const youngGenerationMb = 2

/** A thread that does one job after the other. It keeps the process alive only while it has one. */
export class EngineThread {
  readonly #worker: Worker
  readonly #heapBytes: number
  readonly #exited = Promise.withResolvers<void>()
  #onDeath: ((why: Error) => void) | undefined
  #failure: unknown
  #isAlive = true

  constructor({ file, heapBytes }: EngineThreadOptions) {
    this.#heapBytes = heapBytes
    const resourceLimits: ResourceLimits = {
      maxOldGenerationSizeMb: Math.ceil(heapBytes / mebibyte),
      maxYoungGenerationSizeMb: youngGenerationMb,
    }
    this.#worker = new Worker(file, { resourceLimits })
    this.#worker.on('error', error => {
      this.#failure = error
    })
    this.#worker.once('exit', code => this.#onExit(code))
    this.#worker.unref()
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** @param onDeath called when the thread ends before {@link finish}; it does nothing any more then. */
  begin(job: unknown, transfer: readonly Transferable[], onDeath: (why: Error) => void): void {
    this.#onDeath = onDeath
    this.#worker.ref()
    this.#worker.postMessage(job, transfer)
  }

  /** The job has been answered. */
  finish(): void {
    this.#onDeath = undefined
    this.#worker.unref()
  }

  async end(): Promise<void> {
    this.#worker.ref()
    void this.#worker.terminate()
    await this.#exited.promise
  }

  #onExit(code: number): void {
    this.#isAlive = false
    this.#exited.resolve()
    this.#onDeath?.(this.#whyItDied(code))
  }

  #whyItDied(code: number): Error {
    if (errnoOf(this.#failure) === 'ERR_WORKER_OUT_OF_MEMORY')
      return layerTooLarge(
        `its entries take more than the ${Math.ceil(this.#heapBytes / mebibyte)} MiB of memory that one layer may have`,
      )
    return new Error(`the thread that worked on the layer ended with code ${code}`, { cause: this.#failure })
  }
}
