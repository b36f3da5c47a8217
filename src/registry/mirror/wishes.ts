import type { Abortable } from '../../storage/abortable.ts'
import type { MirrorRecords, MirrorWish } from '../../storage/metadata/mirror-records.ts'
import { parseMirrorJobName } from './job-name.ts'

/** Wishes that a job runs soon. That there is such a job has been asked before. */
export type WishMirrorRun = (
  job: string,
  wish: Pick<MirrorWish, 'trigger' | 'by'>,
  options?: Abortable,
) => Promise<void>

/** @param onWish told when it is written down: in the process that runs jobs, so that it need not wait to find it. */
export function wishesIn(
  records: Pick<MirrorRecords, 'wishMirrorRun'>,
  onWish: () => void = () => {},
): WishMirrorRun {
  return async (job, wish, options) => {
    await records.wishMirrorRun(parseMirrorJobName(job), { ...wish, at: new Date() }, options)
    onWish()
  }
}
