import type { Readable } from 'node:stream'
import type { Abortable } from '../../storage/abortable.ts'
import type { LayerLimits } from './limits.ts'

export interface ApplyOptions extends Abortable {
  readonly limits: LayerLimits
  /** Called now and then, with what has been applied so far. */
  readonly onProgress?: ((report: LayerReport) => void) | undefined
}

/** What applying one layer did. */
export interface LayerReport {
  readonly entries: number
  /** Bytes of file content. */
  readonly bytes: number
  /** Whiteouts and opaque whiteouts. */
  readonly whiteouts: number
  /** Device nodes that were left out, because nothing in a stranger's image may name the host's devices. */
  readonly skippedDevices: number
  /** FIFOs that were left out: Node has no call to make one. */
  readonly skippedFifos: number
  /** Extended attributes that were left out. */
  readonly droppedXattrs: number
}

/** Placeholder signature; see apply.ts. */
export type ApplyLayer = (rootfs: string, tar: Readable, options: ApplyOptions) => Promise<LayerReport>
