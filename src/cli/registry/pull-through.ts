import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../../config.ts'
import { isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { ProxyMetrics } from '../../metrics/proxy-metrics.ts'
import type { ConfiguredUpstream } from '../../registry/pull-through/configured-upstreams.ts'
import type { EvictionRule } from '../../registry/pull-through/evict.ts'
import { Evictor } from '../../registry/pull-through/evictor.ts'
import { alsoMeant } from '../../registry/pull-through/upstream-names.ts'
import type { PullThroughParts } from '../../registry/routes.ts'
import { tenantOf } from '../../storage/accounts/names.ts'
import { dayMs, hourMs } from '../../storage/durations.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { parseRepositoryName, type RepositoryName } from '../../storage/reference.ts'
import { hourly } from './hourly.ts'
import type { PushedTo } from './limits.ts'
import { parsedSetting } from './parsed-setting.ts'
import type { TrustSources } from './trust.ts'

/** @throws DomainError `invalid` that names the setting. */
export function configuredUpstreams({ upstreams }: Pick<Config, 'upstreams'>): ConfiguredUpstream[] {
  return upstreams.map(({ name, prefix, registry, repositoryPrefix, credentials, ...rest }, index) => ({
    name,
    registry,
    prefix: parsedSetting(`upstreams.${index}.prefix`, () => parseRepositoryName(prefix)),
    namespaces: rest.namespaces,
    hosts: rest.hosts,
    root: rest.root,
    repositoryPrefix: repositoryPrefix === undefined ? '' : `${repositoryPrefix}/`,
    library: rest.library,
    credentials: credentials ?? null,
    settings: {
      tagFreshSeconds: rest.tagFreshSeconds,
      absentSeconds: rest.absentSeconds,
      keepAbsent: rest.keepAbsent,
      store: rest.store,
    },
  }))
}

/** For the token service: whom else a client may mean. Undefined where there is no upstream. */
export function meantBesides(
  config: Pick<Config, 'upstreams'>,
): ((name: RepositoryName) => readonly RepositoryName[]) | undefined {
  const upstreams = configuredUpstreams(config)
  return upstreams.length === 0 ? undefined : name => alsoMeant(upstreams, name)
}

export interface PullThroughContext {
  readonly config: Config
  /** Where copies are kept, within the tenants' quotas. */
  readonly stores: PushedTo
  readonly metrics: ProxyMetrics
  readonly log: Logger
}

export interface OpenedPullThrough {
  readonly parts: PullThroughParts
  /** What trust policies look at. */
  readonly signatures: TrustSources
}

/**
 * What answers for upstreams, in one process that serves requests; undefined where there are none.
 * @param stack connections, and what is being fetched, end with it.
 */
export async function openPullThrough(
  context: PullThroughContext,
  stack: AsyncDisposableStack,
): Promise<OpenedPullThrough | undefined> {
  if (context.config.upstreams.length === 0) return undefined
  // Most registries have none, and it brings a client of registries with it.
  const { assemblePullThrough } = await import('./assemble-pull-through.ts')
  const upstreams = configuredUpstreams(context.config)
  await warnOfNoTenant(context, upstreams)
  return await assemblePullThrough(context, upstreams, stack)
}

/** Without it nobody but administrators can pull, which looks like a mistake somewhere else. */
async function warnOfNoTenant(
  { config, stores, log }: PullThroughContext,
  upstreams: readonly ConfiguredUpstream[],
): Promise<void> {
  if (config.auth.mode === 'none' || config.auth.external.issuer !== undefined) return
  for (const { name, prefix } of upstreams) {
    const tenant = tenantOf(prefix)
    try {
      await stores.metadata.getTenant(tenant)
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
      log.warn(
        { upstream: name, tenant },
        `only administrators can pull from an upstream whose tenant is not there; varve tenant create ${tenant} makes it`,
      )
    }
  }
}

/** Lets go of copies that nobody pulls, now and every hour, in one process of all machines. */
export function evictHourly(config: Config, metadata: Metadata, log: Logger): AsyncDisposable | undefined {
  const rules = evictionRules(config)
  if (rules.length === 0) return undefined
  const holder = `${hostname()} ${process.pid} ${randomUUID()}`
  const evictor = new Evictor(rules, { records: metadata, leases: metadata, log, holder, everyMs: hourMs })
  const ticking = hourly(
    async options => {
      await evictor.tick(options)
    },
    error => log.error({ error }, 'copies that nobody pulls could not be let go of'),
  )
  return {
    [Symbol.asyncDispose]: async () => {
      await ticking[Symbol.asyncDispose]()
      await evictor[Symbol.asyncDispose]()
    },
  }
}

function evictionRules({ upstreams, registry }: Config): EvictionRule[] {
  if (registry.readOnly) return []
  return upstreams.map(({ name, prefix, evictAfterDays, maxBytes }) => ({
    name,
    prefix: parseRepositoryName(prefix),
    afterMs: evictAfterDays === 0 ? undefined : evictAfterDays * dayMs,
    maxBytes,
  }))
}
