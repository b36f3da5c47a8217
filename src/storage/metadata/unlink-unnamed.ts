import type { Abortable } from '../abortable.ts'
import type { RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import type { LinkWriter } from './link-writer.ts'
import { lockRepository } from './repository-rows.ts'

/** Links that one transaction takes away; others who change the repository wait meanwhile. */
const linksAtOnce = 200

/** As {@link UpstreamRecords.unlinkUnnamed}. */
export async function unlinkUnnamed(
  database: Database,
  parts: { readonly events: EventWriter; readonly links: LinkWriter; readonly now: () => number },
  { repository, before }: { readonly repository: RepositoryName; readonly before: Date },
  options?: Abortable,
): Promise<number> {
  let count = 0
  for (;;) {
    const unlinked = await database.write(options, async db => {
      // A manifest that is put waits, and finds then that the blob is missing; or it was first, and names it.
      if (!(await lockRepository(db, repository))) return 0
      const unnamed = await db
        .selectFrom('blob_links')
        .select('digest')
        .where('repository', '=', repository)
        .where('created_at', '<', before.getTime())
        .where(link =>
          link.not(
            link.exists(
              link
                .selectFrom('manifest_references')
                .select('manifest')
                .whereRef('manifest_references.repository', '=', 'blob_links.repository')
                .whereRef('manifest_references.digest', '=', 'blob_links.digest'),
            ),
          ),
        )
        .where(link =>
          link.not(
            link.exists(
              link
                .selectFrom('deleted_references')
                .select('manifest')
                .whereRef('deleted_references.repository', '=', 'blob_links.repository')
                .whereRef('deleted_references.digest', '=', 'blob_links.digest'),
            ),
          ),
        )
        // In one order: of two who take links away, one waits for the other at each blob.
        .orderBy('digest')
        .limit(linksAtOnce)
        .execute()
      const at = new Date(parts.now())
      const names = unnamed.map(({ digest }) => digest)
      const taken = await parts.links.takeAway(db, repository, names)
      const facts = { kind: 'blob', action: 'delete', repository, at } as const
      await parts.events.write(
        db,
        taken.map(({ digest, size }) => ({ ...facts, digest, size })),
      )
      return unnamed.length
    })
    count += unlinked
    if (unlinked < linksAtOnce) return count
  }
}
