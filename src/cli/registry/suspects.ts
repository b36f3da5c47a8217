import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { BytePace } from '../../registry/scrub/byte-pace.ts'
import { checkBlob } from '../../registry/scrub/check-blob.ts'
import { missingLimit } from '../../registry/scrub/due.ts'
import { Suspects } from '../../registry/scrub/suspects.ts'
import { minuteMs } from '../../storage/durations.ts'
import { logFault, scrubPauseMs } from './scrub.ts'
import type { Stores } from './stores.ts'

/** Checks blobs at once that turned out damaged when somebody read them, in this process, as fast as a scrub reads. */
export function watchSuspects(
  { scrub: { bytesPerSecond, maxMissingPercent } }: Pick<Config, 'scrub'>,
  { objects, metadata }: Pick<Stores, 'objects' | 'metadata'>,
  log: Logger,
): Suspects {
  const parts = {
    records: metadata,
    objects,
    pace: new BytePace(bytesPerSecond === 0 ? undefined : bytesPerSecond),
    pauseMs: scrubPauseMs,
    onFault: (fault: Parameters<typeof logFault>[1]) => logFault(log, fault),
  }
  return new Suspects({
    check: async (blob, signal) => {
      // In front of the wrong bucket every reader finds something missing, and none of it is.
      const { missing } = await metadata.countFaults({ signal })
      const { pass } = await metadata.scrubState({ signal })
      const mayBeMissing = (): boolean =>
        pass.stoppedAt === null && missing < missingLimit(pass, maxMissingPercent)
      return await checkBlob(parts, { ...blob, isQuarantined: false }, { hashes: true, mayBeMissing, signal })
    },
    onChecked: ({ digest }, outcome) =>
      log.info({ digest, outcome }, 'a blob that seemed damaged was checked'),
    onFailure: error => log.warn({ error }, 'a blob that seems damaged could not be checked'),
    restMs: minuteMs,
  })
}
