import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { invalidLayer } from '../../src/importer/layer/layer-errors.ts'
import { defaultLayerLimits } from '../../src/importer/layer/limits.ts'
import type { LayerEngine, OpenedLayer } from '../../src/importer/layer/layer-engine.ts'
import type { LayerPromise } from '../../src/importer/layer/decode/decompress.ts'
import type { Abortable } from '../../src/storage/abortable.ts'
import { chainIdsOf } from '../../src/storage/chain-id.ts'
import type { Descriptor } from '../../src/storage/descriptor.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'
import { abortWith } from '../../src/storage/streams/abort-with.ts'
import type { ImageSource, ResolvedLayer } from '../../src/storage/remote/image-source.ts'
import type { ImageName } from '../../src/storage/reference.ts'

/** How the source answers one request for a blob. */
export interface BlobScript {
  /** Bytes before whatever comes next; all unless given. */
  readonly bytes?: number
  /** What comes after them, when it is not the rest of the blob. */
  readonly after?: 'fail' | 'end' | 'stall'
  /** Instead of all this. */
  readonly refuse?: boolean
  /** Bytes of one chunk. */
  readonly chunk?: number
}

export const cutLine = new Error('the line is cut')

/** A registry whose blobs come as a test says: the n-th request of a blob by its n-th script, the last one repeated. */
export class ScriptedSource implements ImageSource {
  /** Indexes of layers, in the order in which they were asked for. */
  readonly asked: number[] = []
  readonly #blobs: readonly Buffer[]
  readonly #scripts: ReadonlyMap<number, readonly BlobScript[]>
  readonly #open = new Set<Readable>()
  mostOpen = 0

  constructor(blobs: readonly Buffer[], scripts: ReadonlyMap<number, readonly BlobScript[]> = new Map()) {
    this.#blobs = blobs
    this.#scripts = scripts
  }

  /** Streams that nobody has read to the end or destroyed. */
  get open(): number {
    return this.#open.size
  }

  resolve(): Promise<never> {
    return Promise.reject(new Error('no image is resolved here'))
  }

  async openLayer(_image: ImageName, { digest }: Descriptor, { signal }: Abortable = {}): Promise<Readable> {
    signal?.throwIfAborted()
    const index = this.#blobs.findIndex(blob => digestOf(blob) === digest)
    const scripts = this.#scripts.get(index) ?? []
    const nth = this.asked.filter(other => other === index).length
    this.asked.push(index)
    await new Promise(resolve => setImmediate(resolve))
    const script = scripts[Math.min(nth, scripts.length - 1)] ?? {}
    if (script.refuse === true) throw cutLine
    const stream = abortWith(play(this.#blobs[index] ?? Buffer.alloc(0), script), signal)
    this.#open.add(stream)
    this.mostOpen = Math.max(this.mostOpen, this.#open.size)
    stream.once('close', () => this.#open.delete(stream))
    return stream
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function play(blob: Buffer, { bytes, after, chunk = 1000 }: BlobScript): Readable {
  const end = after === undefined ? blob.length : Math.min(bytes ?? 0, blob.length)
  let offset = 0
  return new Readable({
    read() {
      setImmediate(() => {
        const next = blob.subarray(offset, Math.min(offset + chunk, end))
        offset += next.length
        if (next.length > 0) this.push(next)
        else if (after === 'fail') this.destroy(cutLine)
        else if (after !== 'stall') this.push(null)
      })
    },
  })
}

export function layersOf(blobs: readonly Buffer[]): ResolvedLayer[] {
  const diffIds = blobs.map(blob => parseDiffId(digestOf(blob)))
  const chainIds = chainIdsOf(diffIds)
  return blobs.flatMap((blob, index) => {
    const [diffId, chainId] = [diffIds[index], chainIds[index]]
    if (diffId === undefined || chainId === undefined) return []
    const descriptor = { mediaType: 'application/x-blob', digest: digestOf(blob), size: blob.length }
    return [{ descriptor, diffId, chainId }]
  })
}

/** An engine that only checks blobs: what `applyTo` answers is their bytes. It reads as soon as a layer is opened. */
export class BlobEngine implements LayerEngine {
  readonly limits = defaultLayerLimits
  readonly opened: LayerPromise[] = []
  /** Whole blobs, in the order in which they were applied. */
  readonly applied: Buffer[] = []
  readonly #left = new Set<Readable>()

  /** Layers that were opened and neither applied nor given up. */
  get left(): number {
    return this.#left.size
  }

  open(source: Readable, promise: LayerPromise): OpenedLayer {
    this.opened.push(promise)
    this.#left.add(source)
    const bytes = buffer(source)
    bytes.catch(() => undefined)
    return {
      applyTo: async (_rootfs, { signal } = {}) => {
        try {
          const blob = await Promise.race([bytes, rejectsOnAbort(signal)])
          if (digestOf(blob) !== promise.blob) throw invalidLayer('it is another blob')
          this.applied.push(blob)
          return {
            entries: 1,
            bytes: blob.length,
            whiteouts: 0,
            skippedDevices: 0,
            skippedFifos: 0,
            droppedXattrs: 0,
            warnings: [],
          }
        } finally {
          this.#left.delete(source)
          source.destroy()
        }
      },
      [Symbol.asyncDispose]: async () => {
        this.#left.delete(source)
        source.destroy()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function rejectsOnAbort(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}
