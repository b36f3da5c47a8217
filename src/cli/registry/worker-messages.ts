import type { Config } from '../../config.ts'
import type { ErrorCode, ErrorDetails } from '../../errors.ts'

/** What the process that looks after the workers tells one. */
export type ToWorker =
  // Settings go this way, not by arguments or environment, which others on the machine can read.
  { readonly type: 'start'; readonly config: Config } | { readonly type: 'stop' }

/** What a worker answers. */
export type FromWorker =
  | { readonly type: 'listening'; readonly address: string }
  /** It could not start. */
  | {
      readonly type: 'failed'
      readonly message: string
      /** Those of a DomainError; undefined for a bug. */
      readonly code?: ErrorCode | undefined
      readonly details?: ErrorDetails | undefined
    }

/** prom-client sends messages of its own over the same channel. */
export function isFromWorker(message: unknown): message is FromWorker {
  return isMessage(message) && (message.type === 'listening' || message.type === 'failed')
}

export function isToWorker(message: unknown): message is ToWorker {
  return isMessage(message) && (message.type === 'start' || message.type === 'stop')
}

function isMessage(message: unknown): message is { readonly type: unknown } {
  return typeof message === 'object' && message !== null && 'type' in message
}
