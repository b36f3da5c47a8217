import type { LayerPromise } from '../../src/importer/layer/decode/decompress.ts'
import type { Usage } from './usage.ts'

/** An image of one layer, as each contender wants to have it. */
export interface ImportJob {
  readonly layout: string
  readonly tag: string
  /** `host:port/repository:tag` in a registry of Varve on this machine, over plain HTTP. */
  readonly image: string
  /** The blob. */
  readonly layerFile: string
  readonly layer: LayerPromise
}

/** One way from an image to a root filesystem. */
export interface ImportContender {
  readonly name: string
  /** Whether this is Varve. */
  readonly isOurs?: true
  /** Debian's programs that it takes. */
  readonly programs: readonly string[]
  /**
   * Imports once, into an empty directory that is removed afterwards; starting and stopping what it needs is not
   * measured.
   */
  run(job: ImportJob, directory: string): Promise<Usage>
}
