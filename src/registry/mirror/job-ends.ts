import type { MirrorJob } from '../../mirror-job.ts'
import type { MirrorMetrics } from '../../mirror-metrics.ts'
import type { TrafficObserver } from '../../storage/remote/remote-registries.ts'
import type { MirrorTraffic } from './mirror-traffic.ts'
import type { MirrorSource, MirrorTarget } from './run-job.ts'

/** What a job copies between. */
export interface JobEnds {
  readonly source: MirrorSource
  readonly target: MirrorTarget
}

/**
 * Opens both ends, and asks nothing yet.
 * @throws DomainError `invalid` for credentials that there are not.
 */
export type OpenJobEnds = (job: MirrorJob, traffic: MirrorTraffic) => Promise<JobEnds>

/** Counts the requests and bytes of a job's runs. */
export function measuredTraffic(
  { name, source, target }: MirrorJob,
  metrics: Pick<MirrorMetrics, 'request' | 'bytes' | 'quota'>,
): TrafficObserver {
  return {
    request: ({ host, what, status }) =>
      metrics.request(
        name,
        host === source.registry ? 'source' : host === target.registry ? 'target' : 'other',
        what,
        status,
      ),
    bytes: (direction, count) => metrics.bytes(name, direction, count),
    quota: ({ remaining }) => {
      // Of both ends only the source is pulled from.
      if (source.registry !== undefined) metrics.quota(source.registry, remaining)
    },
  }
}
