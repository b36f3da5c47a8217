import type { Config } from '../config.ts'
import { Importer } from '../importer/importer.ts'
import { openParts, type WarnOptions } from './open-parts.ts'
import type { CommonFlags } from './options.ts'
import { createSharedParts } from './shared-parts.ts'

/** Over the pool that is configured or named, else over a directory. */
export async function openImporter(
  config: Config,
  flags: CommonFlags,
  options: WarnOptions,
): Promise<Importer> {
  await using opened = new AsyncDisposableStack()
  const shared = opened.use(createSharedParts(config))
  const { pool, chains } = config.importer
  // A pool wins over a directory, except that `--chains` was typed for this very command.
  const wantsDirectory = flags.chains !== undefined && flags.pool === undefined
  const place = pool === undefined || wantsDirectory ? { directory: chains } : { pool }
  const parts = await openParts(config, place, shared, options)
  opened.move()
  return new Importer({ ...parts, owned: [shared] })
}
