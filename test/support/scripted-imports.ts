import { chainIdsOf } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'
import type {
  ImportEvent,
  ImportOptions,
  ImportRequest,
  ImportResult,
  LayerProgressEvent,
  ResolvedEvent,
} from '../../src/importer/import-service.ts'

/** One import that a test lets go on, or lets end. */
export interface ScriptedImport {
  readonly request: ImportRequest
  readonly signal: AbortSignal | undefined
  readonly tell: (event: ImportEvent) => void
  readonly finish: () => void
  readonly fail: (error: unknown) => void
}

/** An import service whose imports wait for the test; one that is aborted ends at once, unless it is to linger. */
export class ScriptedImports {
  /** In the order in which they began. */
  readonly begun: ScriptedImport[] = []
  /** An aborted import ends when the test says so. */
  lingers = false
  running = 0
  mostRunning = 0

  async import(request: ImportRequest, { signal, onEvent }: ImportOptions = {}): Promise<ImportResult> {
    const ending = Promise.withResolvers<ImportResult>()
    const abort = (): void => {
      if (!this.lingers) ending.reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
    this.begun.push({
      request,
      signal,
      tell: event => onEvent?.(event),
      finish: () => ending.resolve(resultOf(request)),
      fail: error => ending.reject(error),
    })
    this.running += 1
    this.mostRunning = Math.max(this.mostRunning, this.running)
    try {
      return await ending.promise
    } finally {
      this.running -= 1
      signal?.removeEventListener('abort', abort)
    }
  }
}

export function resultOf({ image }: ImportRequest): ImportResult {
  const manifestDigest = digestOf(Buffer.from(image))
  const [chainId] = chainIdsOf([parseDiffId(manifestDigest)])
  if (chainId === undefined) throw new Error('no chain')
  return { image, manifestDigest, chainId, location: 'here', layers: 1, imported: 1, milliseconds: 1 }
}

/** @param present layers at the base that are there already. */
export function resolvedEvent(layers: number, present = 0): ResolvedEvent {
  const diffIds = Array.from({ length: layers }, (_, index) => parseDiffId(digestOf(Buffer.of(index))))
  return {
    type: 'resolved',
    image: 'localhost:5000/a:1',
    manifestDigest: digestOf(Buffer.from('manifest')),
    platform: 'linux/amd64',
    layers: chainIdsOf(diffIds).map((chainId, index) => ({
      chainId,
      diffId: diffIds[index] ?? parseDiffId(digestOf(Buffer.alloc(0))),
      blob: digestOf(Buffer.from(`blob ${index}`)),
      size: 1000,
      present: index < present,
    })),
  }
}

export function progressEvent(layer: number, more: Partial<LayerProgressEvent> = {}): LayerProgressEvent {
  return {
    type: 'layer-progress',
    layer,
    phase: 'apply',
    blobBytes: 10,
    size: 1000,
    entries: 1,
    bytes: 20,
    bytesPerSecond: 5,
    ...more,
  }
}

export function doneEvent(layer: number): ImportEvent {
  const planned = resolvedEvent(layer + 1).layers[layer]
  if (planned === undefined) throw new Error('no layer')
  return {
    type: 'layer-done',
    layer,
    chainId: planned.chainId,
    location: 'here',
    report: {
      entries: 7,
      bytes: 70,
      whiteouts: 0,
      skippedDevices: 0,
      skippedFifos: 0,
      droppedXattrs: 0,
      warnings: [],
    },
    milliseconds: 5,
  }
}
