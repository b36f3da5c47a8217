import type { Command } from 'commander'
import type { RunningAgent } from './compose-agent.ts'
import type { RunningRegistry } from './registry/start-registry.ts'
import { agentOpenApiCommand } from './openapi-command.ts'
import {
  addressOption,
  type CommonFlags,
  commandWithChains,
  commandWithConfig,
  configOf,
  metricsAddressOption,
  workersOption,
} from './options.ts'
import { aborted, abortOnSignals } from './signals.ts'

/** `serve`, `agent`, `up`: what runs until it is stopped. */
export function serverCommands(): Command[] {
  return [
    commandWithConfig('serve', 'run the registry')
      .addOption(addressOption())
      .addOption(metricsAddressOption())
      .addOption(workersOption())
      .action(async (flags: CommonFlags) => {
        const { signal } = abortOnSignals()
        const { config } = configOf(flags)
        const { startRegistry, createLogger } = await registryServer()
        await using _registry = await startRegistry(config, createLogger(config.log), { signal })
        await aborted(signal)
      }),
    commandWithChains('agent', 'run the importer agent that a zone provisioner calls')
      .option(
        '--plain-http <hosts>',
        'registries to speak plain HTTP to, comma-separated; loopback always is',
      )
      .action(async (flags: CommonFlags) => {
        const { signal } = abortOnSignals()
        const { config } = configOf(flags)
        const { startAgent, createLogger } = await agentServer()
        await using _agent = await startAgent(config, createLogger(config.log), { signal })
        await aborted(signal)
      })
      .addCommand(agentOpenApiCommand()),
    commandWithChains('up', 'run the registry and the agent together, for one machine')
      .addOption(addressOption())
      .addOption(metricsAddressOption())
      .addOption(workersOption())
      .action(async (flags: CommonFlags) => await up(flags)),
  ]
}

/** Loaded only when needed: no other command has to wait for it, and neither server pays for the other. */
async function registryServer() {
  const [registry, log] = await Promise.all([import('./registry/start-registry.ts'), import('../log.ts')])
  return { ...registry, ...log }
}

async function agentServer() {
  const [agent, log] = await Promise.all([import('./compose-agent.ts'), import('../log.ts')])
  return { ...agent, ...log }
}

async function up(flags: CommonFlags): Promise<void> {
  const { signal } = abortOnSignals()
  const { config } = configOf({ logLevel: 'warn', ...flags })
  const [{ startRegistry, createLogger }, { startAgent }] = await Promise.all([
    registryServer(),
    agentServer(),
  ])
  const log = createLogger(config.log)
  await using registry = await startRegistry(config, log, { signal })
  await using agent = await startAgent(config, log, { signal })
  const isElsewhere = (flags.data ?? flags.socket ?? flags.config) !== undefined
  process.stdout.write(
    welcome(registry, agent, { withoutPool: config.importer.pool === undefined, isElsewhere }),
  )
  await aborted(signal)
  process.stdout.write('stopping\n')
}

function welcome(
  { address, url: registryUrl, metricsAddress }: RunningRegistry,
  { description, socket, url }: RunningAgent,
  { withoutPool, isElsewhere }: { readonly withoutPool: boolean; readonly isElsewhere: boolean },
): string {
  const image = `${address}/debian:12`
  // Where it would not look by itself.
  const agent = isElsewhere ? ` --socket '${socket}'` : ''
  return `
registry  ${registryUrl}/v2/
metrics   ${metricsAddress === undefined ? 'off' : `http://${metricsAddress}/metrics`}
agent     ${socket}${url === undefined ? '' : `\n          ${url}`}
chains    ${description}
${withoutPool ? '          Without ZFS each clone is a copy. For clones in milliseconds, name a pool: make up POOL=tank\n' : ''}
Try, in another terminal:
  docker tag debian:12 ${image} && docker push ${image}
  ./varve import ${image}${agent}
  ./varve clone ${image} web1${agent}
  ./varve clones${agent}

Ctrl-C stops both.
`
}
