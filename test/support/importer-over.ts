import type { ChainStore } from '../../src/importer/chain/chain-store.ts'
import { DirectoryImageCatalog } from '../../src/importer/images/directory-image-catalog.ts'
import { Importer, type ImporterParts } from '../../src/importer/importer.ts'
import { ThreadedLayerEngine } from '../../src/importer/layer/engine/threaded-layer-engine.ts'
import { RegistryImageSource } from '../../src/storage/remote/registry-image-source.ts'
import { Spool, type SpoolOptions } from '../../src/storage/spool/spool.ts'

export interface ImporterOverOptions extends Partial<ImporterParts> {
  /** What differs from the default of the command line. */
  readonly spoolOptions?: Partial<SpoolOptions> | undefined
}

/** An importer over `chains` as the command line composes it, but for the parts that are given. It owns them all. */
export async function importerOver(
  chains: ChainStore,
  {
    spoolOptions,
    source = new RegistryImageSource(),
    engine = new ThreadedLayerEngine(),
    ...parts
  }: ImporterOverOptions = {},
): Promise<Importer> {
  return new Importer({
    source,
    chains,
    catalog: new DirectoryImageCatalog(chains.recordsDirectory),
    engine,
    spool: await Spool.open({
      directory: chains.spoolDirectory,
      maxBytes: 4 * 1024 ** 3,
      downloads: 3,
      ...spoolOptions,
    }),
    owned: [engine, source],
    ...parts,
  })
}
