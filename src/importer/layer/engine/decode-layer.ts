import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { MessagePort } from 'node:worker_threads'
import { openLayerTar } from '../decode/decompress.ts'
import type { DecodeJob, FromDecoder, ToDecoder } from './messages.ts'
import { RingWritable } from './ring-streams.ts'
import { packError } from './sent-error.ts'
import { SharedRing } from './shared-ring.ts'

/** Asks for the next block while the decompressor has one to do. */
const inputBytes = 512 * 1024

/**
 * The job of a thread that decodes. The ring comes to its end only if blob digest, size and diff ID are as promised, and
 * is stopped on any failure. Never rejects: whoever sent the job is told how it ended.
 */
export async function decodeLayer({ port, ring, promise, limits }: DecodeJob): Promise<void> {
  const answer = (message: FromDecoder): void => port.postMessage(message)
  try {
    const stream = openLayerTar(new BlobReadable(port), promise, limits)
    await pipeline(stream, new RingWritable(new SharedRing(ring)))
    answer({ type: 'ended' })
  } catch (error) {
    answer({ type: 'failed', error: packError(error) })
  } finally {
    port.close()
  }
}

/** A layer's blob as the other side of `port` sends it, block by block as it is asked for. */
class BlobReadable extends Readable {
  readonly #port: MessagePort

  constructor(port: MessagePort) {
    super({ highWaterMark: inputBytes })
    this.#port = port
    port.on('message', (message: ToDecoder) => this.#take(message))
  }

  override _read(): void {
    const more: FromDecoder = { type: 'more' }
    this.#port.postMessage(more)
  }

  #take(message: ToDecoder): void {
    switch (message.type) {
      case 'bytes':
        this.push(message.bytes)
        break
      case 'end':
        this.push(null)
        break
      case 'stop':
        this.destroy()
        break
    }
  }
}
