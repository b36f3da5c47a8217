import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { explain } from '../../collect/explain.ts'
import { type GcStatusView, gcExplanationView, gcStatusView, gcTickView } from '../gc-views.ts'
import type { gcOperations } from '../operations/gc.ts'
import { viewOf } from '../views.ts'
import type { AdminParts, Implementations } from './parts.ts'

/** Failures of a tick that are told in full. */
const maxFailures = 20

/** What each operation on the garbage collection does. */
export function createGcAdministration({
  metadata,
  collect,
}: AdminParts): Implementations<keyof typeof gcOperations> {
  const status = async (options: Abortable): Promise<GcStatusView> => {
    const state = await metadata.collectState(options)
    const waiting = await metadata.countWaiting(options)
    return viewOf(gcStatusView, { isEnabled: collect.isEnabled, ...state, waiting })
  }
  return {
    'gc.status': async (_input, { signal }) => await status({ signal }),
    'gc.run': async (_input, { signal }) => {
      const { failures, ...tick } = await collect.tick({ signal })
      const shown = failures.slice(0, maxFailures).map(({ message }) => message)
      return viewOf(gcTickView, { ...tick, failed: failures.length, failures: shown })
    },
    'gc.explain': async ({ digest }, { signal }) => {
      const explained = await explain(metadata, digest, { signal })
      const found = { ...explained, fault: (await metadata.findFault(digest, { signal })) ?? null }
      if (found.holdings.length > 0 || found.objectGoesAt !== null) return viewOf(gcExplanationView, found)
      throw new DomainError('not_found', `Nothing here has the digest ${digest}.`, {
        resource: 'garbage',
        name: digest,
      })
    },
    'gc.pause': async (_input, { actor, signal }) => {
      const by = actor.kind === 'system' ? actor.name : actor.identity.account
      await metadata.pauseCollection(by, { signal })
      return await status({ signal })
    },
    'gc.resume': async (_input, { signal }) => {
      await metadata.resumeCollection({ signal })
    },
  }
}
