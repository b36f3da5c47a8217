import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import type { ObjectBlobStore } from '../../storage/blobs/object-blob-store.ts'
import type { UpstreamRecords } from '../../storage/metadata/upstream-records.ts'
import { hourly } from './hourly.ts'

/** Rows that one transaction deletes. */
const tagsAtOnce = 1000
const weekSeconds = 7 * 24 * 60 * 60

/** Drops the uploads that nobody continued. */
export function sweepHourly(blobs: Pick<ObjectBlobStore, 'sweepUploads'>, log: Logger): AsyncDisposable {
  return hourly(
    async options =>
      log.info({ swept: await blobs.sweepUploads(new Date(), options) }, 'expired uploads swept'),
    error => log.error({ error }, 'sweep of expired uploads failed'),
  )
}

/**
 * Forgets what was compared with upstreams so long ago that it says nothing any more, and who died fetching from them: also
 * of upstreams that the configuration does not have any more.
 */
export function forgetUpstreamTagsHourly(
  { upstreams }: Pick<Config, 'upstreams'>,
  records: Pick<UpstreamRecords, 'forgetUpstreamTags'>,
  log: Logger,
  now: () => number = Date.now,
): AsyncDisposable {
  // What is believed is not forgotten.
  const believed = upstreams.flatMap(each => [each.tagFreshSeconds, each.absentSeconds])
  const keptMs = 1000 * Math.max(weekSeconds, ...believed)
  return hourly(
    async options => {
      const before = new Date(now() - keptMs)
      while ((await records.forgetUpstreamTags(before, tagsAtOnce, options)) === tagsAtOnce);
    },
    error => log.error({ error }, 'what is remembered of upstreams could not be forgotten'),
  )
}
