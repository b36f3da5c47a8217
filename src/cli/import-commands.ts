import type { Command } from 'commander'
import { AgentClient } from '../importer/agent/agent-client.ts'
import type { ImportRequest } from '../importer/import-service.ts'
import type { JobSummary, LayerState } from '../importer/jobs/job-records.ts'
import { parsePlatform } from '../storage/platform.ts'
import { formatBytes, formatTable } from './format.ts'
import { wholeNumber } from './numbers.ts'
import { openAgent, openImportService } from './open-import-service.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'
import { abortOnSignals } from './signals.ts'

interface ListFlags extends CommonFlags {
  readonly json?: true
}

interface ImportFlags extends ListFlags {
  readonly priority?: number
  readonly credentials?: string
  readonly detach?: true
}

interface ImportsFlags extends ListFlags {
  readonly follow?: string
  readonly cancel?: string
}

/** `import`: an image becomes a chain of snapshots. */
export function importCommand(): Command {
  return importerCommand('import', 'turn an image into a chain of snapshots')
    .argument('<image>', '[registry/]repository[:tag][@digest]')
    .option('--platform <os/arch>', 'which platform of a multi-platform image (default: linux/amd64)')
    .option('--plain-http <hosts>', 'registries to speak plain HTTP to, comma-separated; loopback always is')
    .option('--credentials <name>', 'configured credentials; without it those that fit the registry')
    .option('--priority <number>', "place in the agent's queue; higher ones start first", wholeNumber)
    .option('--detach', 'leave the import to the agent, and do not wait for it')
    .addOption(jsonOption())
    .action(async (image: string, flags: ImportFlags) => {
      const { config } = configOf(flags)
      const request: ImportRequest = {
        image,
        platform: parsePlatform(config.importer.platform),
        ...(flags.credentials === undefined ? {} : { credentials: flags.credentials }),
      }
      if (flags.detach) await detach(request, flags)
      else await follow(request, flags)
    })
}

async function detach(request: ImportRequest, flags: ImportFlags): Promise<void> {
  await using agent = await openAgent(configOf(flags).config, flags)
  const job = await agent.startImport(request, { priority: flags.priority })
  if (flags.json) return printJson(job)
  print(printable(`${job.id} ${job.state}: ${job.image}`))
}

async function follow(request: ImportRequest, flags: ImportFlags): Promise<void> {
  const { signal } = abortOnSignals()
  const { priority } = flags
  const { createImportDisplay } = await import('./import-display.ts')
  const display = createImportDisplay(process.stdout, flags.json ?? false)
  const onEvent = display.onEvent.bind(display)
  try {
    await using service = await openImportService(configOf(flags).config, flags, { signal })
    display.done(
      service instanceof AgentClient
        ? await service.import(request, { signal, onEvent, priority })
        : await service.import(request, { signal, onEvent }),
    )
  } finally {
    display.close()
  }
}

/** `imports`: what an agent imports, or has imported lately. */
export function importsCommand(): Command {
  return importerCommand('imports', 'list the imports of an agent; follow or cancel one')
    .option('--follow <id>', 'show the progress of an import until it ends')
    .option('--cancel <id>', 'end an import; layers that are finished stay')
    .addOption(jsonOption())
    .action(async (flags: ImportsFlags) => {
      await using agent = await openAgent(configOf(flags).config, flags)
      if (flags.cancel !== undefined) showJobs([await agent.cancelImport(flags.cancel)], flags)
      else if (flags.follow !== undefined) await followJob(agent, flags.follow, flags)
      else showJobs(await agent.imports(), flags)
    })
}

async function followJob(agent: AgentClient, id: string, { json }: ImportsFlags): Promise<void> {
  const { signal } = abortOnSignals()
  const { createImportDisplay } = await import('./import-display.ts')
  const display = createImportDisplay(process.stdout, json ?? false)
  try {
    display.done(await agent.followImport(id, { signal, onEvent: event => display.onEvent(event) }))
  } finally {
    display.close()
  }
}

function showJobs(jobs: readonly JobSummary[], { json }: ImportsFlags): void {
  if (json) {
    printJson(jobs)
    return
  }
  print(
    formatTable(
      ['ID', 'IMAGE', 'PLATFORM', 'PRIORITY', 'STATE', 'LAYERS', 'ASKED FOR'],
      jobs.map(({ id, image, platform, priority, state, layers, error, createdAt }) => [
        id,
        image,
        platform,
        String(priority),
        error === undefined ? state : `${state}: ${error.message}`,
        progressOf(layers),
        createdAt.toISOString(),
      ]),
    ),
  )
}

/** `2/5, 1.5 MiB of 20.0 MiB`: layers that are there, and what has come of all that has to. */
function progressOf(layers: readonly LayerState[]): string {
  if (layers.length === 0) return '-'
  const isThere = ({ phase }: LayerState): boolean => phase === 'present' || phase === 'done'
  const missing = layers.filter(layer => layer.phase !== 'present')
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
  const there = `${layers.filter(isThere).length}/${layers.length}`
  if (missing.length === 0) return there
  const [come, all] = [sum(missing.map(layer => layer.blobBytes)), sum(missing.map(layer => layer.size))]
  return `${there}, ${formatBytes(come)} of ${formatBytes(all)}`
}
