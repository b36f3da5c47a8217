import { Command, Option } from 'commander'
import { type ConfigInput, type LoadedConfig, loadConfig } from '../config.ts'

/** Flags that every command takes; each is also a setting of the configuration. */
export interface CommonFlags {
  readonly config?: string
  readonly data?: string
  readonly logLevel?: string
  readonly address?: string
  readonly metricsAddress?: string
  readonly workers?: string
  readonly pool?: string
  readonly chains?: string
  readonly socket?: string
  readonly agent?: string
  readonly platform?: string
  readonly plainHttp?: string
  /** `--plain-http` of commands that copy. */
  readonly remotePlainHttp?: string
}

export const configOption = () =>
  new Option('-c, --config <file>', 'YAML configuration file').env('VARVE_CONFIG')
export const dataOption = () =>
  new Option('--data <directory>', 'where the embedded defaults keep everything')
export const logLevelOption = () =>
  new Option('--log-level <level>', 'how much is logged').choices([
    'debug',
    'info',
    'warn',
    'error',
    'silent',
  ])
export const addressOption = () => new Option('--address <host:port>', 'where the registry listens')
export const metricsAddressOption = () =>
  new Option('--metrics-address <host:port>', 'where metrics and health are; off for nowhere')
export const workersOption = () => new Option('--workers <count>', 'processes that serve requests')
export const poolOption = () => new Option('--pool <pool>', 'ZFS pool or dataset for chains and clones')
export const chainsOption = () =>
  new Option('--chains <directory>', 'directory for chains and clones, without ZFS')
export const socketOption = () => new Option('--socket <path>', "the agent's unix socket")
export const agentOption = () =>
  new Option('--agent <url>', 'https://host:port of an agent elsewhere; its token is in agent.tokenFile')
export const jsonOption = () => new Option('--json', 'print JSON')

/** The effective configuration of a command, from its flags and all other sources. */
export function configOf(flags: CommonFlags): LoadedConfig {
  return loadConfig({ file: flags.config, flags: settingsOf(flags) })
}

function settingsOf(flags: CommonFlags): ConfigInput['flags'] {
  return {
    data: flags.data,
    'log.level': flags.logLevel,
    'registry.address': flags.address,
    'registry.metricsAddress': flags.metricsAddress,
    'registry.workers': flags.workers,
    'importer.pool': flags.pool,
    'importer.chains': flags.chains,
    'importer.socket': flags.socket,
    'agent.url': flags.agent,
    'importer.platform': flags.platform,
    'importer.plainHttp': flags.plainHttp,
    'remote.plainHttp': flags.remotePlainHttp,
  }
}

/** A command with the flags that say which configuration it runs with. */
export function commandWithConfig(name: string, summary: string): Command {
  return new Command(name)
    .description(summary)
    .addOption(configOption())
    .addOption(dataOption())
    .addOption(logLevelOption())
}

/** Also says where chains are. */
export function commandWithChains(name: string, summary: string): Command {
  return commandWithConfig(name, summary)
    .addOption(poolOption())
    .addOption(chainsOption())
    .addOption(socketOption())
}

/** Also says how to get there: through an agent, or directly. */
export function importerCommand(name: string, summary: string): Command {
  return commandWithChains(name, summary).addOption(agentOption())
}
