import type Koa from 'koa'
import { createAgentMetrics } from '../../src/metrics/agent-metrics.ts'
import { createAgentApp } from '../../src/importer/agent/agent-app.ts'
import type { Tokens } from '../../src/importer/agent/http/authorize.ts'
import { MeasuredService } from '../../src/importer/agent/measured-service.ts'
import { type OpenPool, Pools, type PoolToOpen } from '../../src/importer/agent/pools.ts'
import type { ImportService } from '../../src/importer/import-service.ts'
import { ImportJobs } from '../../src/importer/jobs/import-jobs.ts'
import type { Logger } from '../../src/log.ts'
import { testLog } from './test-logs.ts'

export interface AgentOptions {
  readonly log?: Logger | undefined
  readonly tokens?: Tokens | undefined
  /** Imports that run at once. */
  readonly atOnce?: number | undefined
}

/** The agent's application, and what a test has to put away after its server. */
export interface TestAgent extends AsyncDisposable {
  readonly app: Koa
  readonly pools: Pools
}

/** An agent with one pool, `tank`, whose service is given and stays the test's own. */
export async function agentOver(service: ImportService, options: AgentOptions = {}): Promise<TestAgent> {
  return await agentWith([{ name: 'tank', service }], options)
}

/** As {@link agentOver}, with these pools; the first is the default one. */
export async function agentWith(
  services: readonly { readonly name: string; readonly service: ImportService }[],
  options: AgentOptions = {},
): Promise<TestAgent> {
  return await agentWithPools(
    metrics =>
      services.map(({ name, service }) => ({
        name,
        open: () => Promise.resolve(openPool(new MeasuredService(service, metrics, name), name, options)),
      })),
    options,
  )
}

/** As {@link agentOver}, with pools that open as a test says. */
export async function agentWithPools(
  toOpen: (metrics: ReturnType<typeof createAgentMetrics>) => readonly PoolToOpen[],
  { log = testLog(), tokens, retryMs }: AgentOptions & { retryMs?: number } = {},
): Promise<TestAgent> {
  const metrics = createAgentMetrics(async () =>
    (pools?.list() ?? []).map(({ name, open }) => ({
      pool: name,
      open: open !== undefined,
      importsRunning: open?.jobs.running ?? 0,
      importsQueued: open?.jobs.queued ?? 0,
      availableBytes: 1000,
    })),
  )
  const pools = await Pools.open(toOpen(metrics), { log, retryMs })
  const app = createAgentApp({ pools, metrics, log, tokens })
  return { app, pools, [Symbol.asyncDispose]: () => pools[Symbol.asyncDispose]() }
}

/** A pool over a service. */
export function openPool(service: ImportService, name: string, { atOnce = 4 }: AgentOptions = {}): OpenPool {
  const jobs = new ImportJobs(service, { atOnce, remembered: 100 })
  return {
    description: `pool ${name}`,
    service,
    jobs,
    recordsDirectory: '/nowhere',
    check: async options => {
      await service.clones(options)
    },
    availableBytes: () => Promise.resolve(1000),
    [Symbol.asyncDispose]: () => jobs[Symbol.asyncDispose](),
  }
}

/** A service whose answers a test chooses. */
export function serviceWith(answers: Partial<ImportService>): ImportService {
  const unexpected = (): never => {
    throw new Error('not expected in this test')
  }
  return {
    describe: unexpected,
    import: unexpected,
    images: unexpected,
    inspect: unexpected,
    removeImage: unexpected,
    clone: unexpected,
    cloneMany: unexpected,
    clones: unexpected,
    inspectClone: unexpected,
    destroyClone: unexpected,
    prune: unexpected,
    history: unexpected,
    publish: unexpected,
    published: unexpected,
    unpublish: unexpected,
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...answers,
  }
}
