import type { Config } from '../../config.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import { guardedTarget, type TargetGuard } from '../../registry/mirror/guarded-target.ts'
import { type JobEnds, type OpenJobEnds, trafficOfTarget } from '../../registry/mirror/job-ends.ts'
import type { ImageRegistry, WritableRepository } from '../../storage/images/image-repository.ts'
import type { RemoteRegistries, TrafficObserver } from '../../storage/remote/remote-registries.ts'
import type { Requester } from '../../storage/requester.ts'
import { version } from '../../version.ts'
import { withinQuotas } from './limits.ts'
import { createBlobMemory, createBlobs } from './service.ts'
import type { Stores } from './stores.ts'

/** Who brings what jobs store, for those who read events. */
const mirror: Requester = Object.freeze({
  requestId: 'varve-mirror',
  address: '',
  scheme: 'http',
  host: '',
  method: 'PUT',
  userAgent: `varve-mirror/${version}`,
  account: 'varve-mirror',
})

/** What a process that is killed has fetched in vain, at most, of each blob on its way, beside two parts (registry.partBytes). */
const saveEveryBytes = 16 * 1024 * 1024

/**
 * Opens what a job copies between: registries elsewhere over connections that all jobs share, and our own stores, within
 * the quotas of tenants.
 * @param stack the connections end with it.
 */
export function openMirrorEnds(config: Config, stores: Stores, stack: AsyncDisposableStack): OpenJobEnds {
  const connections = new AsyncDisposableStack()
  stack.use(connections)
  // Both are large, and a registry without jobs needs neither.
  let remote: Promise<RemoteRegistries> | undefined
  let own: Promise<ImageRegistry<WritableRepository>> | undefined
  const openedRemote = async (): Promise<RemoteRegistries> => {
    remote ??= openRemote(config, connections)
    try {
      return await remote
    } catch (error) {
      // A file that cannot be read may be there the next time.
      remote = undefined
      throw error
    }
  }
  const openedOwn = async (): Promise<ImageRegistry<WritableRepository>> => {
    own ??= openOwn(config, stores)
    return await own
  }
  const guard: TargetGuard = {
    readOnly: config.registry.readOnly,
    upstreamPrefixes: config.upstreams.map(({ prefix }) => prefix),
  }
  const open = async (
    { registry, credentials }: MirrorJob['source'],
    { limits }: MirrorJob,
    traffic: TrafficObserver,
  ) => {
    if (registry === undefined) return await openedOwn()
    const { requestsPerSecond, bytesPerSecond } = limits
    return (await openedRemote()).open(registry, {
      credentials,
      traffic,
      limits: { requestsPerSecond, bytesPerSecond },
    })
  }
  return async (job, traffic): Promise<JobEnds> => ({
    source: await open(job.source, job, traffic),
    target:
      job.target.registry === undefined
        ? guardedTarget(await openedOwn(), guard)
        : await open(job.target, job, trafficOfTarget(traffic)),
  })
}

async function openRemote(config: Config, connections: AsyncDisposableStack): Promise<RemoteRegistries> {
  const { openRemoteRegistries } = await import('../open-remote-registries.ts')
  return connections.use(openRemoteRegistries(config))
}

async function openOwn(config: Config, stores: Stores): Promise<ImageRegistry<WritableRepository>> {
  const { OwnRegistry } = await import('../../registry/mirror/own-registry.ts')
  // Cached blobs are for those who pull.
  const memory = createBlobMemory({ ...config, storage: { ...config.storage, cacheBytes: 0 } })
  const blobs = createBlobs(config, stores, memory, { saveEveryBytes })
  const pushedTo = withinQuotas({ blobs, metadata: stores.metadata }, { limited: () => {} })
  // Where nobody has to say who they are, everything is everybody's.
  const mountsFrom = config.auth.mode === 'none' ? 'anywhere' : 'tenant'
  return new OwnRegistry({ ...pushedTo, by: mirror, mountsFrom })
}
