import { MessageChannel } from 'node:worker_threads'
import type { DirectoryXattrs, LayerReport } from '../apply-layer.ts'
import type { LayerLimits } from '../limits.ts'
import type { LayerPolicy } from '../policy.ts'
import type { EngineThread } from './engine-thread.ts'
import type { ApplyJob, FromApplier } from './messages.ts'
import { unpackError } from './sent-error.ts'
import { RingStopped, type SharedRing } from './shared-ring.ts'

export interface Applying {
  readonly rootfs: string
  readonly lowerDirectoryXattrs: DirectoryXattrs | undefined
  readonly ring: SharedRing
  readonly limits: LayerLimits
  readonly policy: LayerPolicy
  /** Makes it end before its next read. */
  readonly signal: AbortSignal
  readonly onProgress: (report: LayerReport) => void
}

/**
 * Has `thread` apply the layer whose tar stream is in the ring. Settles when nothing of the thread's writes any more.
 * @throws RingStopped when the ring was stopped, by `signal` or by its writer; else what the layer fails with.
 */
export async function applyOn(thread: EngineThread, applying: Applying): Promise<LayerReport> {
  const { rootfs, lowerDirectoryXattrs, ring, limits, policy, signal, onProgress } = applying
  signal.throwIfAborted()
  const { port1: port, port2 } = new MessageChannel()
  const outcome = Promise.withResolvers<LayerReport>()
  port.on('message', (message: FromApplier) => {
    switch (message.type) {
      case 'progress':
        onProgress(message.report)
        break
      case 'applied':
        outcome.resolve(message.report)
        break
      case 'stopped':
        outcome.reject(new RingStopped())
        break
      case 'failed':
        outcome.reject(unpackError(message.error))
        break
    }
  })
  // A message would wait until the thread looks for one, which is when it has finished.
  const stop = (): void => ring.stop()
  signal.addEventListener('abort', stop)
  try {
    const job: ApplyJob = { port: port2, ring: ring.memory, rootfs, lowerDirectoryXattrs, limits, policy }
    thread.begin(job, [port2], outcome.reject)
    return await outcome.promise
  } finally {
    thread.finish()
    signal.removeEventListener('abort', stop)
    port.close()
  }
}
