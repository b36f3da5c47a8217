import type { Readable } from 'node:stream'
import type { Abortable } from '../storage/abortable.ts'
import type { ImageName } from '../storage/reference.ts'
import type { ImageSource, ResolvedLayer } from '../storage/remote/image-source.ts'
import type { Spool } from '../storage/spool/spool.ts'
import type { SpoolFile } from '../storage/spool/spool-file.ts'
import type { KnownDiffIds } from './known-diff-ids.ts'
import type { LayerEngine, OpenedLayer } from './layer/layer-engine.ts'
import { LayerBlob } from './layer-blob.ts'

/** Layers after the one that is applied that the engine has at once: it decompresses ahead as far as its buffers go. */
const openedAhead = 2

export interface LayersAheadParts {
  readonly source: ImageSource
  readonly engine: LayerEngine
  readonly spool: Spool
  readonly diffIds: KnownDiffIds
  readonly image: ImageName
  /** Name of those that the image was resolved with. */
  readonly credentials?: string | undefined
  /** Those to apply, in order. */
  readonly layers: readonly ResolvedLayer[]
  /** Called for every chunk, with the bytes of a blob that have come before its turn. */
  readonly onFetched?: ((index: number, blobBytes: number) => void) | undefined
}

interface Waiting {
  readonly layer: ResolvedLayer
  /** Resolves when it is the layer's turn. */
  readonly turn: PromiseWithResolvers<void>
  /** Aborted when it is the layer's turn: what has found no room in the spool by then does without. */
  readonly reserving: AbortController
  blob?: LayerBlob
  opened?: OpenedLayer
}

/**
 * The layers of one import, each opened when its turn comes. Meanwhile the later ones are downloaded into the spool, as
 * far as it has room, and the next ones opened already. Disposing gives up what is left.
 */
export class LayersAhead implements AsyncDisposable {
  readonly #parts: LayersAheadParts
  readonly #layers: readonly Waiting[]
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #fetching: Promise<void>[] = []
  #turn = -1

  constructor(parts: LayersAheadParts, { signal }: Abortable = {}) {
    this.#parts = parts
    this.#layers = parts.layers.map(layer => ({
      layer,
      turn: Promise.withResolvers<void>(),
      reserving: new AbortController(),
    }))
    this.#signal = AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])])
  }

  /** The next layer, in order. The caller owns it. What the source fails with is what applying it fails with. */
  next(): OpenedLayer {
    this.#turn += 1
    const waiting = this.#layers[this.#turn]
    if (waiting === undefined) throw new Error('there is no further layer')
    waiting.turn.resolve()
    waiting.reserving.abort()
    waiting.blob ??= this.#blobOf(waiting)
    waiting.opened ??= this.#open(waiting.layer, waiting.blob)
    if (this.#turn === 0) for (const later of this.#layers.slice(1)) this.#fetching.push(this.#fetch(later))
    else this.#openAhead()
    return waiting.opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException('the import has ended', 'AbortError'))
    const left = this.#layers.slice(this.#turn + 1)
    await Promise.all(left.map(async ({ opened }) => await opened?.[Symbol.asyncDispose]()))
    await Promise.all(this.#layers.map(async ({ blob }) => blob && (await closed(blob.destroy()))))
    await Promise.all(this.#fetching)
  }

  /** Never fails: a layer that does not come this way comes straight, in its turn. */
  async #fetch(waiting: Waiting): Promise<void> {
    const { spool, onFetched } = this.#parts
    const signal = AbortSignal.any([this.#signal, waiting.reserving.signal])
    const place = await spool.reserve(waiting.layer.descriptor.size, { signal }).catch(() => undefined)
    if (place === undefined) return
    const { file, downloaded } = place
    try {
      if (signal.aborted) return await file.break()
      waiting.blob = this.#blobOf(waiting, file)
      this.#openAhead()
      const index = this.#layers.indexOf(waiting)
      await file.fill(this.#download(waiting.layer), bytes => {
        // From its turn on the engine's progress tells more.
        if (!waiting.reserving.signal.aborted) onFetched?.(index, bytes)
      })
    } finally {
      downloaded()
    }
  }

  async *#download(layer: ResolvedLayer): AsyncGenerator<Uint8Array> {
    yield* (await this.#openSource(layer, this.#signal)) as AsyncIterable<Uint8Array>
  }

  #blobOf({ layer, turn }: Waiting, file?: SpoolFile): LayerBlob {
    const open = ({ signal = this.#signal }: Abortable): Promise<Readable> =>
      this.#openSource(layer, AbortSignal.any([this.#signal, signal]))
    return new LayerBlob({ file, turn: turn.promise, open })
  }

  #openSource({ descriptor }: ResolvedLayer, signal: AbortSignal): Promise<Readable> {
    const { source, image, credentials } = this.#parts
    return source.openLayer(image, descriptor, { credentials, signal })
  }

  #openAhead(): void {
    for (const waiting of this.#layers.slice(this.#turn + 1, this.#turn + 1 + openedAhead))
      if (waiting.blob !== undefined) waiting.opened ??= this.#open(waiting.layer, waiting.blob)
  }

  #open({ descriptor, diffId }: ResolvedLayer, blob: Readable): OpenedLayer {
    return this.#parts.engine.open(blob, {
      mediaType: descriptor.mediaType,
      blob: descriptor.digest,
      size: descriptor.size,
      diffId,
      knownDiffId: this.#parts.diffIds.get(descriptor.digest),
    })
  }
}

async function closed(stream: Readable): Promise<void> {
  if (!stream.closed) await new Promise(resolve => stream.once('close', resolve))
}
