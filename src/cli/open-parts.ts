import { type as systemType, version as systemVersion } from 'node:os'
import type { Config } from '../config.ts'
import { isDomainError } from '../errors.ts'
import type { ChainStore } from '../importer/chain/chain-store.ts'
import { DirectoryChainStore } from '../importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../importer/chain/zfs/zfs-chain-store.ts'
import type { ZfsStarter } from '../importer/chain/zfs/zfs-starter.ts'
import { DirectoryImageCatalog } from '../importer/images/directory-image-catalog.ts'
import type { ImporterParts } from '../importer/importer.ts'
import { imgadmDirectoryOf } from '../importer/smartos/smartos-host.ts'
import type { Abortable } from '../storage/abortable.ts'
import { Spool } from '../storage/spool/spool.ts'
import type { SharedParts } from './shared-parts.ts'

/** A ZFS pool (or dataset), or a directory. */
export type ChainsPlace = { readonly pool: string } | { readonly directory: string }

export interface WarnOptions extends Abortable {
  /** Told what is wrong and keeps nobody from working. */
  readonly warn: (message: string) => void
}

export interface OpenPartsOptions extends WarnOptions {
  /** Not owned: all pools share it. This process starts `zfs` without it. */
  readonly starter?: ZfsStarter | undefined
}

/** Opens what an importer works with in one place. Whoever makes the importer leaves to it what was opened here. */
export async function openParts(
  config: Config,
  place: ChainsPlace,
  { engine, source }: SharedParts,
  { signal, warn, starter }: OpenPartsOptions,
): Promise<ImporterParts> {
  await using opened = new AsyncDisposableStack()
  const chains = opened.use(await openChainStore(config, place, { signal, starter }))
  await reclaim(chains, { signal, warn })
  const catalog = new DirectoryImageCatalog(chains.recordsDirectory, { onDamaged: warn })
  await catalog.sweep()
  const { spoolBytes, downloads } = config.importer.layers
  const spool = await Spool.open({ directory: chains.spoolDirectory, maxBytes: spoolBytes, downloads })
  opened.move()
  return { source, chains, catalog, engine, spool, kernelVersion: config.importer.smartos.kernelVersion }
}

async function openChainStore(
  config: Config,
  place: ChainsPlace,
  { signal, starter }: Pick<OpenPartsOptions, 'signal' | 'starter'>,
): Promise<ChainStore> {
  if ('directory' in place) return await DirectoryChainStore.open({ directory: place.directory, signal })
  const imgadmDirectory = imgadmDirectoryOf(config.importer.smartos.imgadmDirectory, {
    type: systemType(),
    version: systemVersion(),
  })
  return await ZfsChainStore.open({ dataset: place.pool, imgadmDirectory, signal, starter })
}

/** What a dead process has left and cannot be removed now, such as a directory that somebody is in, can wait. */
async function reclaim(chains: ChainStore, { signal, warn }: WarnOptions): Promise<void> {
  try {
    await chains.reclaim({ signal })
  } catch (error) {
    if (!isDomainError(error)) throw error
    warn(`What an import has left behind could not be removed; the next start tries again. ${error.message}`)
  }
}
