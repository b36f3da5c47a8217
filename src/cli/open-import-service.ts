import type { Config } from '../config.ts'
import { DomainError } from '../errors.ts'
import { AgentClient } from '../importer/agent/agent-client.ts'
import { answers } from '../importer/agent/agent-socket.ts'
import type { ImportService } from '../importer/import-service.ts'
import type { Abortable } from '../storage/abortable.ts'
import { agentAddressOf } from './agent-address.ts'
import type { CommonFlags } from './options.ts'
import { printable } from './printable.ts'

/**
 * The service that a command works with: an agent's, if there is one for it, else this process's own over the configured
 * pool or directory.
 */
export async function openImportService(
  config: Config,
  flags: CommonFlags,
  options: Abortable = {},
): Promise<ImportService> {
  const agent = await findAgent(config, flags, options)
  if (agent !== undefined) return agent
  const { socket, pool, chains } = config.importer
  if (flags.chains === undefined && pool === undefined)
    warn(`no agent listens on ${socket}; using directories below ${chains}`)
  // Loaded only when needed: a command that goes through the agent starts in half the time.
  const { openImporter } = await import('./compose-importer.ts')
  return await openImporter(config, flags, { ...options, warn })
}

/** For what only an agent has. @throws DomainError `unavailable`. */
export async function openAgent(
  config: Config,
  flags: CommonFlags,
  options: Abortable = {},
): Promise<AgentClient> {
  const agent = await findAgent(config, flags, options)
  if (agent !== undefined) return agent
  const { socket } = config.importer
  throw new DomainError(
    'unavailable',
    `Only an agent can do this, and none listens on ${socket}; \`varve agent\` starts one, and --agent or --socket names another.`,
    { resource: 'config', name: socket },
  )
}

/** The agent that is named, or the one on this machine's socket unless it lacks the pool that was asked for. */
async function findAgent(
  config: Config,
  { chains, pool, socket, agent }: CommonFlags,
  options: Abortable,
): Promise<AgentClient | undefined> {
  if (chains !== undefined) return undefined
  const listening = config.importer.socket
  if (socket !== undefined && agent === undefined) return new AgentClient(listening, { pool })
  const { url } = config.agent
  if (url !== undefined) return new AgentClient(agentAddressOf(url, config.agent), { pool })
  if (!(await answers(listening))) return undefined
  const client = new AgentClient(listening, { pool })
  if (pool === undefined) return client
  return (await client.pools(options)).some(({ name }) => name === pool) ? client : undefined
}

function warn(message: string): void {
  process.stderr.write(`${printable(message)}\n`)
}
