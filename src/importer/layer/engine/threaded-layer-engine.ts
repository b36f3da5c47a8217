import { extname } from 'node:path'
import type { Readable } from 'node:stream'
import { DomainError } from '../../../errors.ts'
import type { LayerPromise } from '../decode/decompress.ts'
import type { LayerEngine, OpenedLayer } from '../layer-engine.ts'
import { defaultLayerLimits, type LayerLimits } from '../limits.ts'
import { defaultLayerPolicy, type LayerPolicy } from '../policy.ts'
import { Admission, type AdmissionLimits } from './admission.ts'
import { EngineThread } from './engine-thread.ts'
import { SharedRing } from './shared-ring.ts'
import { ThreadPool, type Staffed } from './thread-pool.ts'
import { type Lane, ThreadedLayer } from './threaded-layer.ts'

export interface ThreadedLayerEngineOptions extends Partial<AdmissionLimits> {
  readonly limits?: LayerLimits | undefined
  readonly policy?: LayerPolicy | undefined
  /** Decompressed bytes that one layer may be ahead by; rounded down to a power of two. */
  readonly bufferBytes?: number | undefined
  /** Bytes that the names and attributes of one layer's entries may take. */
  readonly heapBytes?: number | undefined
  /** After which threads that have nothing to do end. */
  readonly idleMs?: number | undefined
}

const mebibyte = 1024 * 1024

/** Measured with two layers ahead and one being applied, 400 MB each: 224 MiB for the whole process. */
const defaults = {
  ahead: 2,
  applying: 2,
  bufferBytes: 8 * mebibyte,
  heapBytes: 512 * mebibyte,
  idleMs: 10_000,
}

/**
 * Applies layers on worker threads. For each layer that is open one thread verifies and decompresses its blob into a ring
 * of shared memory, and zlib works on a thread of its own; another reads the ring and writes files. The thread that calls
 * only hands the blob's bytes on.
 *
 * Layers that are open beyond `ahead` wait, without reading their source, until another's turn comes.
 */
export class ThreadedLayerEngine implements LayerEngine {
  readonly limits: LayerLimits
  readonly #policy: LayerPolicy
  readonly #admission: Admission
  readonly #lanes: ThreadPool<Lane>
  readonly #appliers: ThreadPool<Staffed>
  readonly #open = new Set<ThreadedLayer>()
  #isClosed = false

  constructor(options: ThreadedLayerEngineOptions = {}) {
    const {
      limits = defaultLayerLimits,
      policy = defaultLayerPolicy,
      ahead = defaults.ahead,
      applying = defaults.applying,
      bufferBytes = defaults.bufferBytes,
      heapBytes = defaults.heapBytes,
      idleMs = defaults.idleMs,
    } = options
    this.limits = limits
    this.#policy = policy
    this.#admission = new Admission({ ahead, applying })
    const thread = (name: string): EngineThread => new EngineThread({ file: programOf(name), heapBytes })
    this.#lanes = new ThreadPool(
      () => ({ thread: thread('decode-worker'), ring: SharedRing.ofSize(bufferBytes) }),
      idleMs,
    )
    this.#appliers = new ThreadPool(() => ({ thread: thread('apply-worker') }), idleMs)
  }

  /** Threads that are alive, at work or not. */
  get threads(): { readonly decoding: number; readonly applying: number } {
    return { decoding: this.#lanes.size, applying: this.#appliers.size }
  }

  open(source: Readable, promise: LayerPromise): OpenedLayer {
    const layer = new ThreadedLayer({
      source,
      promise,
      limits: this.limits,
      policy: this.#policy,
      ticket: this.#admission.enter(),
      lanes: this.#lanes,
      appliers: this.#appliers,
      onClosed: () => this.#open.delete(layer),
    })
    this.#open.add(layer)
    if (this.#isClosed) layer.giveUp(stopping())
    return layer
  }

  /** Gives up what is not applied yet, waits until nothing writes any more, and ends all threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const layer of this.#open) layer.giveUp(stopping())
    await Promise.all([...this.#open].map(layer => layer[Symbol.asyncDispose]()))
    await Promise.all([this.#lanes[Symbol.asyncDispose](), this.#appliers[Symbol.asyncDispose]()])
  }
}

/** The compiled program has other extensions than the sources. */
function programOf(name: string): URL {
  return new URL(`./${name}${extname(import.meta.filename)}`, import.meta.url)
}

function stopping(): DomainError {
  return new DomainError('unavailable', 'The layer was not applied, because the importer is stopping.', {
    resource: 'layer',
  })
}
