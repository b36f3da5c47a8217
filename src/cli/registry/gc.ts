import { userInfo } from 'node:os'
import type { Config } from '../../config.ts'
import { DomainError } from '../../errors.ts'
import type { TickReport } from '../../registry/collect/collector.ts'
import { type Explanation, explain } from '../../registry/collect/explain.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import type { CollectState, Waiting } from '../../storage/metadata/collect-records.ts'
import { createCollector } from './collect.ts'
import { openMetadata, openStores } from './stores.ts'

export interface GcStatus extends CollectState {
  /** Of this configuration. */
  readonly isEnabled: boolean
  readonly waiting: Waiting
}

/** @throws DomainError, as each of these. */
export async function gcStatus(config: Config, options: Abortable): Promise<GcStatus> {
  await using metadata = await openMetadata(config, { migrate: config.database.migrate, ...options })
  const state = await metadata.collectState(options)
  const waiting = await metadata.countWaiting(options)
  return { isEnabled: config.collect.enabled, ...state, waiting }
}

/** Tick by tick, until nothing is due any more. */
export async function* gcRun(config: Config, options: Abortable): AsyncGenerator<TickReport> {
  await using stores = await openStores(config, { migrate: config.database.migrate, ...options })
  const collector = createCollector(config, stores)
  for (;;) {
    const tick = await collector.tick({ ...options, ignoresWindow: true })
    if (tick.outcome === 'elsewhere')
      throw new DomainError('busy', 'Another process is collecting garbage at this moment; try again.', {
        resource: 'database',
      })
    yield tick
    if (tick.outcome === 'paused')
      throw new DomainError(
        'conflict',
        'The garbage collection is paused; let it go on with `varve gc resume`.',
        { resource: 'database' },
      )
    if (tick.outcome === 'done') return
  }
}

/** @throws DomainError `not_found` when nothing is known of the digest. */
export async function gcExplain(config: Config, digest: Digest, options: Abortable): Promise<Explanation> {
  await using metadata = await openMetadata(config, { migrate: config.database.migrate, ...options })
  const found = await explain(metadata, digest, options)
  if (found.holdings.length > 0 || found.objectGoesAt !== null) return found
  throw new DomainError('not_found', `Nothing here has the digest ${digest}.`, {
    resource: 'digest',
    name: digest,
  })
}

export async function gcPause(config: Config, options: Abortable): Promise<void> {
  await using metadata = await openMetadata(config, { migrate: config.database.migrate, ...options })
  await metadata.pauseCollection(userName(), options)
}

export async function gcResume(config: Config, options: Abortable): Promise<void> {
  await using metadata = await openMetadata(config, { migrate: config.database.migrate, ...options })
  await metadata.resumeCollection(options)
}

/** Whose terminal it is; null where the system has no name for the user. */
function userName(): string | null {
  try {
    return userInfo().username
  } catch {
    return null
  }
}
