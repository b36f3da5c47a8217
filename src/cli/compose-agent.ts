import { dirname } from 'node:path'
import { createAgentMetrics, type PoolMeasure } from '../metrics/agent-metrics.ts'
import type { Config } from '../config.ts'
import { createAgentApp } from '../importer/agent/agent-app.ts'
import { serveAgent } from '../importer/agent/agent-server.ts'
import { defaultListenerLimits } from '../importer/agent/http/listener.ts'
import { Pools, type PoolState } from '../importer/agent/pools.ts'
import { createZfsStarter } from '../importer/chain/zfs/zfs-command.ts'
import type { Logger } from '../log.ts'
import type { Abortable } from '../storage/abortable.ts'
import { placesOf, poolToOpen } from './open-pool.ts'
import { startConfiguredPreimport } from './start-configured-preimport.ts'
import { serveOnAddress } from './serve-on-address.ts'
import { createSharedParts } from './shared-parts.ts'
import { useDirectory } from './use-directory.ts'

export interface RunningAgent extends AsyncDisposable {
  readonly socket: string
  /** `https://host:port`, when it listens there, too. */
  readonly url: string | undefined
  readonly description: string
}

/** @throws DomainError when no pool or directory can be used, or where it is to listen is taken. */
export async function startAgent(
  config: Config,
  log: Logger,
  options: Abortable = {},
): Promise<RunningAgent> {
  const { socket } = config.importer
  await using stack = new AsyncDisposableStack()
  const shared = stack.use(createSharedParts(config))
  const starter = stack.use(createZfsStarter())
  const metrics = createAgentMetrics(async () => await measure(pools))
  const toOpen = [...placesOf(config)].map(([name, place]) =>
    poolToOpen(name, place, { config, shared, starter, metrics, log }),
  )
  const pools = stack.use(await Pools.open(toOpen, { ...options, log }))
  await useDirectory(dirname(socket), '--socket')
  const limits = { ...defaultListenerLimits, maxConnections: config.importer.agent.maxConnections }
  const parts = { pools, metrics, log }
  const server = await serveAgent(createAgentApp(parts), socket, limits)
  stack.defer(async () => await server.close())
  const address = await serveOnAddress(config.importer.agent, parts, limits)
  if (address !== undefined) stack.defer(async () => await address.close())
  for (const problem of await shared.credentials.problems()) log.warn(problem)
  stack.use(startConfiguredPreimport(config, pools, log))
  const description = describe(pools.list())
  log.info({ socket, url: address?.url, chains: description }, 'agent is listening')
  const owned = stack.move()
  return {
    socket,
    url: address?.url,
    description,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

async function measure(pools: Pools): Promise<PoolMeasure[]> {
  return await Promise.all(
    pools.list().map(async ({ name, open }) => ({
      pool: name,
      open: open !== undefined,
      importsRunning: open?.jobs.running ?? 0,
      importsQueued: open?.jobs.queued ?? 0,
      availableBytes: await open?.availableBytes().catch(() => undefined),
    })),
  )
}

/** One line for people. */
function describe(pools: readonly PoolState[]): string {
  return pools.map(({ name, open }) => open?.description ?? `${name} (not open)`).join(', ')
}
