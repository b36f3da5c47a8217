import type { Config } from '../../config.ts'
import type { BlobFetchSettings } from '../../registry/pull-through/blobs/settings.ts'
import { Spool } from '../../storage/spool/spool.ts'
import { useDirectory } from '../use-directory.ts'

export interface PullThroughSpool {
  readonly spool: Spool
  readonly settings: Partial<BlobFetchSettings>
}

/** This process's part of the room for blobs on their way, and how long is waited for them. @param stack the spool ends with it. */
export async function openPullThroughSpool(
  { registry, pullThrough }: Pick<Config, 'registry' | 'pullThrough'>,
  stack: AsyncDisposableStack,
): Promise<PullThroughSpool> {
  const { spoolDirectory, spoolBytes, maxFetches } = pullThrough
  await useDirectory(spoolDirectory, 'pullThrough.spoolDirectory')
  const spool = await Spool.open({
    directory: spoolDirectory,
    maxBytes: Math.floor(spoolBytes / registry.workers),
    downloads: maxFetches,
  })
  return {
    spool: stack.use(spool),
    settings: {
      answerWithinMs: pullThrough.answerWithinSeconds * 1000,
      slowClientsMs: pullThrough.slowClientSeconds * 1000,
      fetchWithinMs: pullThrough.fetchHours * 3_600_000,
      maxFetches,
    },
  }
}
