import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import type { ScrubReport, ScrubRequest } from '../../registry/scrub/scrubber.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { createScrubber } from './scrub.ts'
import type { Stores } from './stores.ts'

/** So that whoever has asked for it hears of it soon, and may ask again. */
const tickMs = 5_000

/** Checks what is stored, whatever the time of day. Two at a time take turns with each other, as replicas do. */
export async function scrubNow(
  config: Config,
  stores: Pick<Stores, 'objects' | 'metadata'>,
  asked: ScrubRequest,
  { log, signal }: Abortable & { readonly log?: Logger | undefined },
): Promise<ScrubReport> {
  return await createScrubber(config, stores, { log, tickMs }).tick({ asked, signal })
}
