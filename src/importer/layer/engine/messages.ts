/** What the threads of the engine tell each other. Each layer has a channel of its own, which dies with it. */
import type { MessagePort } from 'node:worker_threads'
import type { DirectoryXattrs, LayerReport } from '../apply-layer.ts'
import type { LayerPromise } from '../decode/decompress.ts'
import type { LayerLimits } from '../limits.ts'
import type { LayerPolicy } from '../policy.ts'
import type { SentError } from './sent-error.ts'

/** To a thread that decodes: a layer whose blob comes through `port`, to be put into the ring as a tar stream. */
export interface DecodeJob {
  readonly port: MessagePort
  readonly ring: SharedArrayBuffer
  readonly promise: LayerPromise
  readonly limits: LayerLimits
}

/** One `bytes` or `end` for each `more`; `stop` at any time. */
export type ToDecoder =
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'end' }
  | { readonly type: 'stop' }

/** `ended` or `failed` is the last one. */
export type FromDecoder =
  | { readonly type: 'more' }
  | { readonly type: 'ended' }
  | { readonly type: 'failed'; readonly error: SentError }

/** To a thread that applies: the layer whose tar stream is in the ring. */
export interface ApplyJob {
  readonly port: MessagePort
  readonly ring: SharedArrayBuffer
  readonly rootfs: string
  readonly lowerDirectoryXattrs?: DirectoryXattrs | undefined
  readonly limits: LayerLimits
  readonly policy: LayerPolicy
}

/** All but `progress` is the last one. */
export type FromApplier =
  | { readonly type: 'progress'; readonly report: LayerReport }
  | { readonly type: 'applied'; readonly report: LayerReport }
  /** The ring was stopped: whoever did it knows why. */
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: SentError }
