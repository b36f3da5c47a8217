import type { MirrorJob } from '../../mirror-job.ts'
import type { MirrorMetrics } from '../../metrics/mirror-metrics.ts'
import type { TrafficObserver } from '../../storage/remote/remote-registries.ts'
import { registryUrlOf } from '../../storage/remote/registry-address.ts'
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
  const ends = new Map([...hostsOf(target, 'target'), ...hostsOf(source, 'source')])
  return {
    request: ({ host, what, status }) => metrics.request(name, ends.get(host) ?? 'other', what, status),
    bytes: (direction, count) => metrics.bytes(name, direction, count),
    quota: ({ remaining }) => {
      if (source.registry !== undefined) metrics.quota(source.registry, remaining)
    },
  }
}

/** How requests tell where they go: as URLs write it, which is not as images' names do (`docker.io`). */
function hostsOf({ registry }: MirrorJob['source'], end: 'source' | 'target'): [string, typeof end][] {
  if (registry === undefined) return []
  return [true, false].map(plainHttp => [registryUrlOf(registry, plainHttp).host, end])
}

/** What only the source may say is not heard of the target, which nothing is pulled from. */
export function trafficOfTarget(traffic: TrafficObserver): TrafficObserver {
  return {
    request: request => traffic.request(request),
    bytes: (direction, count) => traffic.bytes(direction, count),
  }
}
