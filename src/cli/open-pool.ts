import { access, statfs } from 'node:fs/promises'
import type { AgentMetrics } from '../metrics/agent-metrics.ts'
import type { Config } from '../config.ts'
import { DomainError, errnoOf } from '../errors.ts'
import { MeasuredService } from '../importer/agent/measured-service.ts'
import type { OpenPool, PoolToOpen } from '../importer/agent/pools.ts'
import type { ZfsStarter } from '../importer/chain/zfs/zfs-starter.ts'
import { Importer } from '../importer/importer.ts'
import { ImportJobs } from '../importer/jobs/import-jobs.ts'
import type { Logger } from '../log.ts'
import type { Abortable } from '../storage/abortable.ts'
import { parseChainId } from '../storage/chain-id.ts'
import { type ChainsPlace, openParts } from './open-parts.ts'
import { pruneRegularly } from './prune-regularly.ts'
import type { SharedParts } from './shared-parts.ts'

/** What the agent calls its only pool where chains are directories. */
export const directoryPool = 'directory'

/** Every place of an agent's chains, the default first. */
export function placesOf({ importer: { pools, chains } }: Config): Map<string, ChainsPlace> {
  if (pools.length === 0) return new Map([[directoryPool, { directory: chains }]])
  return new Map(pools.map(pool => [pool, { pool }]))
}

export interface PoolParts {
  readonly config: Config
  readonly shared: SharedParts
  readonly starter?: ZfsStarter | undefined
  readonly metrics: AgentMetrics
  readonly log: Logger
}

/** A pool of an agent, to be opened when it can be. */
export function poolToOpen(name: string, place: ChainsPlace, parts: PoolParts): PoolToOpen {
  return { name, open: async options => await openPool(name, place, parts, options) }
}

async function openPool(
  name: string,
  place: ChainsPlace,
  { config, shared, starter, metrics, log }: PoolParts,
  { signal }: Abortable,
): Promise<OpenPool> {
  const warn = (message: string): void => log.warn({ pool: name }, message)
  const parts = await openParts(config, place, shared, { signal, warn, starter })
  const service = new MeasuredService(new Importer(parts), metrics, name)
  const { imports: atOnce, rememberedImports: remembered } = config.importer.agent
  const jobs = new ImportJobs(service, {
    atOnce,
    remembered,
    onEnded: ({ id, image, state, error }) =>
      log.info({ pool: name, import: id, image, state, reason: error?.message }, 'import ended'),
    onUnexpected: (error, { id, image }) =>
      log.error({ pool: name, import: id, image, error }, 'unexpected error'),
  })
  const schedule = pruneRegularly(service, config.importer.prune, log.child({ pool: name }))
  const { description, recordsDirectory } = parts.chains
  return {
    description,
    service,
    jobs,
    recordsDirectory,
    check: async options => {
      await parts.chains.find(noChain, options)
      await lookAt(name, recordsDirectory)
    },
    availableBytes: sharing(async () => {
      const { bavail, bsize } = await statfs(recordsDirectory)
      return bavail * bsize
    }),
    [Symbol.asyncDispose]: async () => {
      await using owned = new AsyncDisposableStack()
      owned.use(service)
      owned.use(jobs)
      owned.use(schedule)
    },
  }
}

/** One look at a time, however many ask: a pool that hangs keeps one of the few threads that look, and not all. */
function sharing<Value>(look: () => Promise<Value>): () => Promise<Value> {
  let running: Promise<Value> | undefined
  return () => {
    running ??= look().finally(() => {
      running = undefined
    })
    return running
  }
}

/** A chain that no layers make, so that looking for it asks the pool itself. */
const noChain = parseChainId(`sha256:${'0'.repeat(64)}`)

/** @throws DomainError `unavailable` when the directory is gone, as when what it was in is no longer mounted. */
async function lookAt(pool: string, directory: string): Promise<void> {
  try {
    await access(directory)
  } catch (cause) {
    throw new DomainError(
      'unavailable',
      `The records of ${pool} in ${directory} cannot be read (${errnoOf(cause) ?? 'unknown'}).`,
      { resource: 'pool', name: pool },
      { cause },
    )
  }
}
