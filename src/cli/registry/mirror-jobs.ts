import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { checkMirrorJob } from '../../registry/mirror/check-job.ts'
import { MirrorJobs } from '../../registry/mirror/mirror-jobs.ts'
import type { MirrorJobRecords } from '../../storage/metadata/mirror-records.ts'
import { parsedSetting } from './parsed-setting.ts'

/** All mirror jobs there are. @throws DomainError `invalid` for one of the configuration that does not fit the rest of it. */
export function openMirrorJobs(
  { mirror, remote }: Pick<Config, 'mirror' | 'remote'>,
  records: MirrorJobRecords,
  log?: Pick<Logger, 'warn'>,
): MirrorJobs {
  checkConfiguredJobs({ mirror, remote })
  const credentials = credentialsIn({ remote })
  return new MirrorJobs({ configured: mirror.jobs, records, credentials, log })
}

/** @throws DomainError `invalid` for a job of the configuration that does not fit the rest of it. */
export function checkConfiguredJobs({ mirror, remote }: Pick<Config, 'mirror' | 'remote'>): void {
  const credentials = credentialsIn({ remote })
  for (const [index, job] of mirror.jobs.entries())
    parsedSetting(`mirror.jobs.${index}`, () => checkMirrorJob(job, credentials))
}

function credentialsIn({ remote }: Pick<Config, 'remote'>): string[] {
  return remote.credentials.map(({ name }) => name)
}
