import type { Readable } from 'node:stream'
import { MessageChannel, type Transferable } from 'node:worker_threads'
import { orAbort } from '../../../storage/abortable.ts'
import type { LayerPromise } from '../decode/decompress.ts'
import type { LayerLimits } from '../limits.ts'
import { blocksOf } from './blocks.ts'
import type { EngineThread } from './engine-thread.ts'
import type { DecodeJob, FromDecoder, ToDecoder } from './messages.ts'
import { unpackError } from './sent-error.ts'
import type { SharedRing } from './shared-ring.ts'

export interface Decoding {
  readonly source: Readable
  readonly promise: LayerPromise
  readonly limits: LayerLimits
  readonly ring: SharedRing
  /** Stops it. `source` is the caller's to destroy. */
  readonly signal: AbortSignal
  readonly onBlobBytes: (bytes: number) => void
  /** What `source` has failed with. The caller aborts then. */
  readonly onSourceFailure: (error: unknown) => void
}

/**
 * Has `thread` decode a layer into the ring. Settles when the thread uses neither the ring nor anything else of the layer.
 * @throws what the decoding fails with.
 */
export async function decodeOn(thread: EngineThread, decoding: Decoding): Promise<void> {
  const { promise, limits, ring, signal } = decoding
  signal.throwIfAborted()
  const { port1: port, port2 } = new MessageChannel()
  const demand = new Demand()
  const outcome = Promise.withResolvers<void>()
  const tell: Tell = (message, transfer = []) => port.postMessage(message, transfer)
  const stop = (): void => {
    ring.stop()
    tell({ type: 'stop' })
  }
  port.on('message', (message: FromDecoder) => {
    switch (message.type) {
      case 'more':
        demand.add()
        break
      case 'ended':
        outcome.resolve()
        break
      case 'failed':
        outcome.reject(unpackError(message.error))
        break
    }
  })
  signal.addEventListener('abort', stop)
  try {
    const job: DecodeJob = { port: port2, ring: ring.memory, promise, limits }
    thread.begin(job, [port2], outcome.reject)
    send(decoding, demand, tell).catch(decoding.onSourceFailure)
    await outcome.promise
  } finally {
    thread.finish()
    signal.removeEventListener('abort', stop)
    port.close()
  }
}

type Tell = (message: ToDecoder, transfer?: readonly Transferable[]) => void

async function send({ source, signal, onBlobBytes }: Decoding, demand: Demand, tell: Tell): Promise<void> {
  for await (const bytes of blocksOf(source)) {
    await orAbort(demand.take(), signal)
    onBlobBytes(bytes.length)
    tell({ type: 'bytes', bytes }, [bytes.buffer])
  }
  await orAbort(demand.take(), signal)
  tell({ type: 'end' })
}

/** Counts what has been asked for and not been given. */
class Demand {
  #asked = 0
  #wake: (() => void) | undefined

  add(): void {
    this.#asked++
    this.#wake?.()
  }

  async take(): Promise<void> {
    while (this.#asked === 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    this.#asked--
  }
}
