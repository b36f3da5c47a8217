import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import type { RetentionTick } from '../../registry/retention/retention-ticker.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { createRetentionTicker } from './retention.ts'
import type { Stores } from './stores.ts'

/** So that whoever has asked for it hears of it soon, and may ask again. */
const tickMs = 10_000

/** Applies all policies, whatever the schedule says. */
export async function retainNow(
  config: Config,
  stores: Pick<Stores, 'objects' | 'metadata'>,
  log: Logger,
  options: Abortable,
): Promise<RetentionTick> {
  return await createRetentionTicker(config, stores, log, tickMs).tick({ ...options, runs: true })
}
