import { type Kysely, sql } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import { lostBy } from './deleted-references.ts'
import type { Schema } from './schema.ts'

/** A deleted manifest, and what comes back because it does. */
interface Edge {
  readonly above: Digest
  readonly digest: Digest
}

/**
 * What comes back with each of these deleted manifests, after it: manifests of an index that were deleted as well, to any
 * depth, and referrers that went with their subject or after it. None of them twice.
 */
export async function comingBackWith(
  db: Kysely<Schema>,
  repository: RepositoryName,
  roots: readonly Digest[],
): Promise<Digest[]> {
  const edges = await edgesBelow(db, repository, roots)
  const found = new Set<Digest>()
  for (const root of roots) if (!found.has(root)) addReachable(found, edges, root)
  return [...found]
}

/**
 * Of these deleted manifests those that cannot come back whole, each with what the repository has lost of what they, and
 * those that come back with them, name.
 */
export async function lostBelow(
  db: Kysely<Schema>,
  repository: RepositoryName,
  roots: readonly Digest[],
): Promise<Map<Digest, Digest[]>> {
  const edges = await edgesBelow(db, repository, roots)
  const all = new Set([...roots, ...[...edges.values()].flat()])
  const lost = Map.groupBy(await lostBy(db, repository, [...all].sort()), ({ manifest }) => manifest)
  if (lost.size === 0) return new Map()
  return new Map(
    [...new Set(roots)].flatMap(root => {
      const missing = [...reachable(edges, root)].flatMap(each => lost.get(each) ?? [])
      return missing.length === 0 ? [] : [[root, [...new Set(missing.map(({ digest }) => digest))].sort()]]
    }),
  )
}

/** Level by level, each manifest once; a level is a few queries, whatever there is beside it. */
async function edgesBelow(
  db: Kysely<Schema>,
  repository: RepositoryName,
  roots: readonly Digest[],
): Promise<Map<Digest, Digest[]>> {
  const edges = new Map<Digest, Digest[]>()
  const seen = new Set(roots)
  for (let level = [...seen]; level.length > 0; ) {
    const next: Digest[] = []
    for (const batch of batches(level))
      for (const { above, digest } of await edgesOf(db, repository, batch)) {
        const known = edges.get(above)
        if (known === undefined) edges.set(above, [digest])
        else known.push(digest)
        if (seen.has(digest)) continue
        seen.add(digest)
        next.push(digest)
      }
    level = next
  }
  return edges
}

async function edgesOf(
  db: Kysely<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Edge[]> {
  const { rows } = await sql<Edge>`
    select reference.manifest as above, child.digest from deleted_references as reference
      join deleted_manifests as child
        on child.repository = reference.repository and child.digest = reference.digest
      where reference.repository = ${repository} and reference.manifest in (${sql.join(digests)})
    union all
    select subject.digest as above, referrer.digest from deleted_manifests as subject
      join deleted_manifests as referrer
        on referrer.repository = subject.repository and referrer.subject = subject.digest
      where subject.repository = ${repository} and subject.digest in (${sql.join(digests)})
        and referrer.deleted_at >= subject.deleted_at
  `.execute(db)
  // Not by the database: for rows in order SQLite goes through all of the repository, and leaves the subject's index aside.
  return rows.sort((a, b) => compare(a.above, b.above) || compare(a.digest, b.digest))
}

function reachable(edges: ReadonlyMap<Digest, readonly Digest[]>, root: Digest): Set<Digest> {
  const found = new Set<Digest>()
  addReachable(found, edges, root)
  return found
}

/** Breadth first. What is below one that is there already is there as well. */
function addReachable(found: Set<Digest>, edges: ReadonlyMap<Digest, readonly Digest[]>, root: Digest): void {
  found.add(root)
  for (let level = [root]; level.length > 0; ) {
    const next: Digest[] = []
    for (const each of level)
      for (const below of edges.get(each) ?? []) {
        if (found.has(below)) continue
        found.add(below)
        next.push(below)
      }
    level = next
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
