import { dirname } from 'node:path'
import type { Config } from '../config.ts'
import { isDomainError } from '../errors.ts'
import { serveAgent } from '../importer/agent/agent-server.ts'
import { createAgentApp } from '../importer/agent/agent-app.ts'
import type { ChainStore } from '../importer/chain/chain-store.ts'
import { DirectoryChainStore } from '../importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../importer/chain/zfs/zfs-chain-store.ts'
import { DirectoryImageCatalog } from '../importer/images/directory-image-catalog.ts'
import { Importer } from '../importer/importer.ts'
import { ThreadedLayerEngine } from '../importer/layer/engine/threaded-layer-engine.ts'
import { Spool } from '../importer/spool/spool.ts'
import type { Logger } from '../log.ts'
import type { Abortable } from '../storage/abortable.ts'
import { RegistryImageSource } from '../storage/remote/registry-image-source.ts'
import type { CommonFlags } from './options.ts'
import { useDirectory } from './use-directory.ts'

export interface RunningAgent extends AsyncDisposable {
  readonly socket: string
  readonly description: string
}

/** @throws DomainError when the pool or directory cannot be used, or the socket is taken. */
export async function startAgent(
  config: Config,
  log: Logger,
  options: Abortable = {},
): Promise<RunningAgent> {
  const { socket } = config.importer
  await using stack = new AsyncDisposableStack()
  const warn = (message: string): void => log.warn(message)
  const importer = stack.use(await openImporter(config, {}, { ...options, warn }))
  await useDirectory(dirname(socket), '--socket')
  const server = await serveAgent(createAgentApp(importer, log), socket)
  stack.defer(async () => await server.close())
  const description = await importer.describe()
  log.info({ socket, chains: description }, 'agent is listening')
  const owned = stack.move()
  return { socket, description, [Symbol.asyncDispose]: async () => await owned.disposeAsync() }
}

export interface OpenImporterOptions extends Abortable {
  /** Told what is wrong and keeps nobody from working. */
  readonly warn: (message: string) => void
}

/** Over the pool that is configured or named, else over a directory. */
export async function openImporter(
  config: Config,
  flags: CommonFlags,
  { signal, warn }: OpenImporterOptions,
): Promise<Importer> {
  await using opened = new AsyncDisposableStack()
  const chains = opened.use(await openChainStore(config, flags, { signal }))
  await reclaim(chains, { signal, warn })
  const catalog = new DirectoryImageCatalog(chains.recordsDirectory)
  await catalog.sweep()
  const {
    devices,
    fifos,
    xattrs,
    downloads,
    spoolBytes,
    applying,
    ahead,
    bufferBytes,
    heapBytes,
    ...limits
  } = config.importer.layers
  const spool = await Spool.open({ directory: chains.spoolDirectory, maxBytes: spoolBytes, downloads })
  opened.use(spool)
  const engine = new ThreadedLayerEngine({
    limits,
    policy: { devices, fifos, xattrs },
    applying,
    ahead,
    bufferBytes,
    heapBytes,
  })
  const source = new RegistryImageSource({ plainHttp: hostsIn(config.importer.plainHttp) })
  opened.move()
  return new Importer({ source, chains, catalog, engine, spool })
}

/** What a dead process has left and cannot be removed now, such as a directory that somebody is in, can wait. */
async function reclaim(chains: ChainStore, { signal, warn }: OpenImporterOptions): Promise<void> {
  try {
    await chains.reclaim({ signal })
  } catch (error) {
    if (!isDomainError(error)) throw error
    warn(`What an import has left behind could not be removed; the next start tries again. ${error.message}`)
  }
}

/** A pool wins over a directory, except that `--chains` was typed for this very command. */
async function openChainStore(config: Config, flags: CommonFlags, options: Abortable): Promise<ChainStore> {
  const { pool, chains } = config.importer
  const wantsDirectory = flags.chains !== undefined && flags.pool === undefined
  if (pool === undefined || wantsDirectory)
    return await DirectoryChainStore.open({ directory: chains, ...options })
  return await ZfsChainStore.open({ dataset: pool, ...options })
}

function hostsIn(list: string): string[] {
  return list
    .split(',')
    .map(host => host.trim())
    .filter(host => host !== '')
}
