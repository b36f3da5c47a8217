import type { Config } from '../config.ts'
import { AgentClient } from '../importer/agent/agent-client.ts'
import { answers } from '../importer/agent/agent-socket.ts'
import type { ImportService } from '../importer/import-service.ts'
import type { Abortable } from '../storage/abortable.ts'
import type { CommonFlags } from './options.ts'
import { printable } from './printable.ts'

/**
 * The service that a command works with: the one that flags name, else the running agent's, else this process's own
 * over the configured pool or directory.
 */
export async function openImportService(
  config: Config,
  flags: CommonFlags,
  options: Abortable = {},
): Promise<ImportService> {
  const { socket, pool, chains } = config.importer
  const direct = flags.pool !== undefined || flags.chains !== undefined
  if (!direct && (flags.socket !== undefined || (await answers(socket)))) return new AgentClient(socket)
  if (!direct && pool === undefined) warn(`no agent listens on ${socket}; using directories below ${chains}`)
  // Loaded only when needed: a command that goes through the agent starts in half the time.
  const { openImporter } = await import('./compose-importer.ts')
  return await openImporter(config, flags, { ...options, warn })
}

function warn(message: string): void {
  process.stderr.write(`${printable(message)}\n`)
}
