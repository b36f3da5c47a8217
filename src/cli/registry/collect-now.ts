import type { Config } from '../../config.ts'
import type { TickReport } from '../../registry/collect/collector.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { createCollector } from './collect.ts'
import type { Stores } from './stores.ts'

/** So that whoever has asked for it hears of it soon, and may ask again. */
const tickMs = 10_000

/** Collects what is due, whatever the time of day. Two at a time take turns with each other, as replicas do. */
export async function collectNow(config: Config, stores: Stores, options: Abortable): Promise<TickReport> {
  return await createCollector(config, stores, tickMs).tick({ ...options, ignoresWindow: true })
}
