import type { ImportEvent, LayerPhase } from '../import-service.ts'
import { bytesPerSecond, type Sample, withSample } from './transfer-rate.ts'

/** Milliseconds between two words about one layer in one phase. */
const progressEveryMs = 250

/** What has become of a layer. */
export interface LayerWork {
  readonly blobBytes: number
  readonly entries: number
  readonly bytes: number
}

interface Told {
  readonly phase: LayerPhase
  readonly at: number
  readonly samples: readonly Sample[]
}

/** Tells what becomes of the layers of one import: at the begin of each phase, and four times a second at most. */
export class LayersProgress {
  readonly #sizes: readonly number[]
  readonly #tell: ((event: ImportEvent) => void) | undefined
  readonly #now: () => number
  readonly #told = new Map<number, Told>()

  /**
   * @param sizes bytes of the layers' blobs, base first.
   * @param now milliseconds since some moment, never backwards.
   */
  constructor(
    sizes: readonly number[],
    tell: ((event: ImportEvent) => void) | undefined,
    now = (): number => performance.now(),
  ) {
    this.#sizes = sizes
    this.#tell = tell
    this.#now = now
  }

  /** Some of the blob has come ahead of the layer's turn. */
  downloaded(layer: number, blobBytes: number): void {
    this.#progress(layer, 'download', { blobBytes, entries: 0, bytes: 0 })
  }

  /** Its turn has come. */
  begun(layer: number): void {
    this.#progress(layer, 'apply', { blobBytes: 0, entries: 0, bytes: 0 })
  }

  applied(layer: number, { blobBytes, entries, bytes }: LayerWork): void {
    this.#progress(layer, 'apply', { blobBytes, entries, bytes })
  }

  committing(layer: number, { entries, bytes }: Omit<LayerWork, 'blobBytes'>): void {
    this.#progress(layer, 'commit', { blobBytes: this.#sizes[layer] ?? 0, entries, bytes })
  }

  #progress(layer: number, phase: LayerPhase, work: LayerWork): void {
    if (this.#tell === undefined) return
    const at = this.#now()
    const before = this.#told.get(layer)
    if (before?.phase === phase && at - before.at < progressEveryMs) return
    const samples = withSample(before?.samples ?? [], { at, bytes: work.blobBytes })
    this.#told.set(layer, { phase, at, samples })
    this.#tell({
      type: 'layer-progress',
      layer,
      phase,
      blobBytes: work.blobBytes,
      size: this.#sizes[layer] ?? 0,
      entries: work.entries,
      bytes: work.bytes,
      bytesPerSecond: bytesPerSecond(samples),
    })
  }
}
