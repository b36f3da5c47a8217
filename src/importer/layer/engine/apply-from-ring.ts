import type { LayerReport } from '../apply-layer.ts'
import { applyLayer } from '../changeset/apply.ts'
import type { FileFinisher } from '../tree/file-finisher.ts'
import type { ApplyJob, FromApplier } from './messages.ts'
import { packError } from './sent-error.ts'
import { RingReadable } from './ring-streams.ts'
import { RingStopped, SharedRing } from './shared-ring.ts'
import { atMostEvery } from './at-most-every.ts'

/** Often enough for a display. */
const progressMs = 250

/** The job of a thread that applies, one at a time. Never rejects: whoever sent the job is told how it ended. */
export async function applyFromRing(
  { port, ring, rootfs, ...options }: ApplyJob,
  finisher?: FileFinisher,
): Promise<void> {
  const answer = (message: FromApplier): void => port.postMessage(message)
  const show = atMostEvery(progressMs, (report: LayerReport) => answer({ type: 'progress', report }))
  const shared = new SharedRing(ring)
  try {
    const onProgress = (progress: LayerReport): void => {
      // The entries of one view can be a thousand, each of milliseconds, and a stop is to be seen before that.
      if (shared.isStopped) throw new RingStopped()
      show(progress)
    }
    const report = await applyLayer(
      rootfs,
      new RingReadable(shared),
      { ...options, onProgress },
      { finisher },
    )
    answer({ type: 'applied', report })
  } catch (error) {
    answer(error instanceof RingStopped ? { type: 'stopped' } : { type: 'failed', error: packError(error) })
  } finally {
    port.close()
  }
}
