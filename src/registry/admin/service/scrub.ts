import type { Abortable } from '../../../storage/abortable.ts'
import { parseDigest } from '../../../storage/digest.ts'
import type { BlobFault } from '../../../storage/metadata/scrub-records.ts'
import { parseObjectKey } from '../../../storage/objects/keys.ts'
import { explain } from '../../collect/explain.ts'
import type { scrubOperations } from '../operations/scrub.ts'
import { blobFaultView, scrubRunView, scrubStatusView, strayView } from '../scrub-views.ts'
import { viewOf } from '../views.ts'
import { pageOf } from './pages.ts'
import type { AdminParts, Implementations } from './parts.ts'

/** Each is looked up with its tags. */
const maxFaults = 100

/** What each operation on the scrub does. */
export function createScrubAdministration({
  metadata,
  scrub,
}: AdminParts): Implementations<keyof typeof scrubOperations> {
  const withTags = async (fault: BlobFault, options: Abortable) => {
    const { holdings } = await explain(metadata, fault.digest, options)
    const tags = new Map(holdings.map(({ repository, path }) => [repository, path?.tag ?? null]))
    const repositories = fault.repositories.map(repository => ({
      repository,
      tag: tags.get(repository) ?? null,
    }))
    return { ...fault, repositories }
  }
  return {
    'scrub.status': async (_input, { signal }) => {
      const { place, ...state } = await metadata.scrubState({ signal })
      const faults = await metadata.countFaults({ signal })
      const strays = await metadata.countStrays({ signal })
      return viewOf(scrubStatusView, {
        ...state,
        bytesPerSecond: scrub.bytesPerSecond,
        phase: place?.phase ?? null,
        after: place?.after ?? null,
        faults,
        strays,
      })
    },
    'scrub.run': async ({ begins = false, takesAll = false, bytesPerSecond }, { signal }) =>
      viewOf(scrubRunView, await scrub.tick({ begins, takesAll, bytesPerSecond }, { signal })),
    'scrub.faults': async ({ n = maxFaults, ...input }, { signal }) =>
      await pageOf(
        { ...input, n: Math.min(n, maxFaults) },
        blobFaultView,
        async ({ limit, after }) => {
          const last = after === undefined ? undefined : parseDigest(after)
          const faults = []
          for (const fault of await metadata.listFaults(last, limit, { signal }))
            faults.push(await withTags(fault, { signal }))
          return faults
        },
        ({ digest }) => digest,
      ),
    'scrub.strays': async (input, { signal }) =>
      await pageOf(
        input,
        strayView,
        async ({ limit, after }) =>
          await metadata.listStrays(after === undefined ? undefined : parseObjectKey(after), limit, {
            signal,
          }),
        ({ key }) => key,
      ),
  }
}
