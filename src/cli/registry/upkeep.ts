import type { Logger } from '../../log.ts'
import type { ObjectBlobStore } from '../../storage/blobs/object-blob-store.ts'
import { hourly } from './hourly.ts'

/** Drops the uploads that nobody continued. */
export function sweepHourly(blobs: Pick<ObjectBlobStore, 'sweepUploads'>, log: Logger): AsyncDisposable {
  return hourly(
    async options =>
      log.info({ swept: await blobs.sweepUploads(new Date(), options) }, 'expired uploads swept'),
    error => log.error({ error }, 'sweep of expired uploads failed'),
  )
}
