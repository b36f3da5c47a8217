import type { Config } from '../../config.ts'
import { joinMetrics } from '../../metrics/event-metrics.ts'
import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { addressRanges } from '../../storage/address-ranges.ts'
import { parseAddress } from '../address.ts'
import { deleteOldAudit } from './audit.ts'
import { startBackups } from './backup.ts'
import { startCollector } from './collect.ts'
import { deleteOldCredentials } from './credential-retention.ts'
import { startDebugServer } from './debug-server.ts'
import { deleteOldEvents } from './event-retention.ts'
import { startEvents } from './events.ts'
import { type RunningMirrors, startMirrors } from './mirror.ts'
import { warnOfOpenProxy, warnOfPlainPasswords } from './plain-passwords.ts'
import { evictHourly } from './pull-through.ts'
import { startRetention } from './retention.ts'
import { startScrub } from './scrub.ts'
import { createBlobMemory, createBlobs, startService } from './service.ts'
import { openStores } from './stores.ts'
import { forgetTagHistoryHourly } from './tag-history.ts'
import { forgetUpstreamTagsHourly, sweepHourly } from './upkeep.ts'
import { foldUsageRegularly, recountDaily } from './usage-upkeep.ts'
import { startWorkers } from './workers.ts'

export interface RunningRegistry extends AsyncDisposable {
  /** `host:port` that it listens on. */
  readonly address: string
  /** `http://host:port`, or `https://host:port`. */
  readonly url: string
  /** That of metrics and health, if they are served. */
  readonly metricsAddress: string | undefined
}

/**
 * The registry: in this process, or in `registry.workers` processes that share one address while this one looks after
 * what has to be done once: the schema, the sweeps, the delivery of events, the metrics of all.
 *
 * @param options its signal ends the waiting for a database that is not there yet; what runs is ended by disposing it.
 * @throws DomainError.
 */
export async function startRegistry(
  config: Config,
  log: Logger,
  { signal }: Abortable = {},
): Promise<RunningRegistry> {
  // Before anything is opened or logged: what is written wrongly is refused in one sentence.
  parseAddress(config.registry.address)
  addressRanges(config.registry.trustedProxies)
  warnOfPlainPasswords(config, log)
  warnOfOpenProxy(config, log)
  await using stack = new AsyncDisposableStack()
  const stores = stack.use(await openStores(config, { migrate: config.database.migrate, log, signal }))
  // Before the service, so that endpoints that are new miss nothing.
  const events = stack.use(await startEvents(config, stores.metadata, log))
  // Before the service, so that it answers until the service has ended.
  const debugging = stack.use(new AsyncDisposableStack())
  let mirrors: RunningMirrors | undefined
  const service =
    config.registry.workers > 1
      ? await startWorkers(config, stores, log)
      : await startService(config, stores, log, { onMirrorWish: () => mirrors?.wake() })
  stack.defer(async () => await service.close())
  mirrors = stack.use(startMirrors(config, stores, log))
  const collector = stack.use(startCollector(config, stores, log))
  const scrub = stack.use(startScrub(config, stores, log))
  const retention = stack.use(startRetention(config, stores, log))
  const backups = stack.use(startBackups(config, stores, log))
  const stopping = new AbortController()
  const debug = await startDebugServer(
    config.registry.metricsAddress,
    {
      checks: service.checks,
      metrics: joinMetrics(
        service.metrics,
        events.metrics,
        mirrors.metrics,
        collector.metrics,
        scrub.metrics,
        retention.metrics,
        backups.metrics,
      ),
      events: stores.metadata,
      stopping: stopping.signal,
      log,
    },
    log,
  )
  if (debug !== undefined)
    debugging.defer(async () => {
      stopping.abort()
      await debug.close()
    })

  // When nothing can be wrong with the configuration any more.
  if (config.auth.mode !== 'none') {
    const { ensureAdmin } = await import('./first-admin.ts')
    await ensureAdmin(config, stores.metadata, log, { signal })
  }
  stack.use(sweepHourly(createBlobs(config, stores, createBlobMemory(config)), log))
  stack.use(foldUsageRegularly(stores.metadata, log))
  stack.use(recountDaily(stores.metadata, log))
  stack.use(deleteOldEvents(stores.metadata, config.events.retentionDays, log))
  stack.use(deleteOldCredentials(stores.metadata, log))
  stack.use(evictHourly(config, stores.metadata, log))
  stack.use(forgetTagHistoryHourly(config, stores.metadata, log))
  stack.use(forgetUpstreamTagsHourly(config, stores.metadata, log))
  stack.use(deleteOldAudit(stores.metadata, config.audit.retentionDays, log))

  const url = `${config.registry.tls.certificateFile === undefined ? 'http' : 'https'}://${service.address}`
  log.info(
    {
      address: service.address,
      url,
      workers: config.registry.workers,
      storage: stores.driver,
      data: config.data,
    },
    'registry is listening',
  )
  const owned = stack.move()
  return {
    address: service.address,
    url,
    metricsAddress: debug && `${debug.host}:${debug.port}`,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}
