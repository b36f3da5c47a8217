import { DomainError } from '../../../errors.ts'
import { parseDigest } from '../../../storage/digest.ts'
import type { DeletedManifest, DeletedPosition } from '../../../storage/metadata/history-records.ts'
import { parseTag } from '../../../storage/reference.ts'
import { deletedManifestView, restoredTagView, tagChangeView, tagView } from '../history-views.ts'
import type { historyOperations } from '../operations/history.ts'
import { requesterOfActor } from '../requester.ts'
import { viewOf } from '../views.ts'
import { pageOf } from './pages.ts'
import type { AdminParts, Implementations } from './parts.ts'

/** What each operation on tags, and on what was deleted, does. */
export function createHistoryAdministration({
  metadata,
}: AdminParts): Implementations<keyof typeof historyOperations> {
  return {
    'tag.list': async ({ repository, ...input }, { signal }) => {
      if (!(await metadata.hasRepository(repository, { signal })))
        throw new DomainError('not_found', `The repository ${repository} does not exist.`, {
          resource: 'repository',
          name: repository,
        })
      return await pageOf(
        input,
        tagView,
        async ({ limit, after }) => {
          const last = after === undefined ? undefined : parseTag(after)
          return await metadata.listTagFacts(repository, last, limit, { signal })
        },
        ({ tag }) => tag,
      )
    },
    'tag.history': async ({ repository, tag, ...input }, { signal }) =>
      await pageOf(
        input,
        tagChangeView,
        async ({ limit, after }) =>
          await metadata.listTagHistory(
            repository,
            tag,
            { limit, before: after === undefined ? undefined : parsePosition(after) },
            { signal },
          ),
        ({ position }) => String(position),
      ),
    'tag.restore': async ({ repository, tag, digest }, { actor, signal }) => {
      const by = requesterOfActor(actor)
      const restored = await metadata.restoreTag(repository, tag, digest, { by, signal })
      return viewOf(restoredTagView, { tag, ...restored })
    },
    'tag.delete': async ({ repository, tag }, { actor, signal }) =>
      await metadata.deleteTag(repository, tag, { by: requesterOfActor(actor), signal }),
    'manifest.deleted': async ({ repository, ...input }, { signal }) =>
      await pageOf(
        input,
        deletedManifestView,
        async ({ limit, after }) =>
          await metadata.listDeletedManifests(
            repository,
            { limit, after: after === undefined ? undefined : parseDeletedPosition(after) },
            { signal },
          ),
        formatDeletedPosition,
      ),
    'manifest.restore': async ({ repository, digest }, { actor, signal }) =>
      await metadata.restoreManifest(repository, digest, { by: requesterOfActor(actor), signal }),
    'manifest.purge': async ({ repository, digest }, { actor, signal }) =>
      await metadata.purgeManifest(repository, digest, { by: requesterOfActor(actor), signal }),
  }
}

/** @throws DomainError `invalid`. */
function parsePosition(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw noPosition(text)
}

function formatDeletedPosition({ deletedAt, digest }: DeletedManifest): string {
  return `${deletedAt.getTime()}@${digest}`
}

/** @throws DomainError `invalid`. */
function parseDeletedPosition(text: string): DeletedPosition {
  const [, time, digest] = /^(\d{1,15})@(.{1,256})$/s.exec(text) ?? []
  if (time === undefined || digest === undefined) throw noPosition(text)
  return { deletedAt: Number(time), digest: parseDigest(digest) }
}

function noPosition(text: string): DomainError {
  return new DomainError(
    'invalid',
    `${JSON.stringify(text.slice(0, 64))} is no place in this list; ask with the \`next\` of the page before.`,
    { resource: 'request' },
  )
}
