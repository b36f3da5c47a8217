import type { Digest } from '../digest.ts'
import { parseRepositoryName, type RepositoryName, type Tag } from '../reference.ts'
import { adoptBlobs } from './adopt-blobs.ts'
import { ManifestAdoption } from './adopt-manifests.ts'
import { type Adoption, isDamage } from './adoption.ts'
import { readLink, storedAs } from './legacy-link.ts'
import type { LegacyRepository } from './legacy-repository.ts'
import type { LegacyFile } from './legacy-store.ts'
import { forEachParallel } from './parallel.ts'

/** Blobs, then the manifests that name them, then the tags: whatever can be seen can be pulled. */
export async function adoptRepository(adoption: Adoption, legacy: LegacyRepository): Promise<void> {
  adoption.tally.ignored.uploads += legacy.uploads
  for (const { path, reason } of legacy.refusals)
    adoption.problem('path', legacy.name, `${path} is left out: ${reason}.`)
  const name = nameOf(adoption, legacy)
  if (name === undefined) return

  const blobs = await adoptBlobs(adoption, name, legacy)
  const tags = await readTags(adoption, legacy)
  const manifests = new ManifestAdoption(adoption, name, blobs)
  await manifests.adopt(await manifestsOf(adoption, legacy, tags))
  let tagCount = 0
  for (const [tag, target] of tags) if (await adoptTag(adoption, name, tag, target, manifests)) tagCount += 1

  // What is gone and needed has been reported with the manifest that needs it.
  adoption.tally.ignored.staleLinks += blobs.gone.difference(manifests.needed).size
  if (blobs.here.size + manifests.adopted.size === 0) return
  adoption.tally.repositories += 1
  adoption.tell({ type: 'repository', repository: name, manifests: manifests.adopted.size, tags: tagCount })
}

function nameOf(
  adoption: Adoption,
  { name, layers, revisions }: LegacyRepository,
): RepositoryName | undefined {
  try {
    return parseRepositoryName(name)
  } catch (error) {
    if (!isDamage(error)) throw error
    // Nothing is left out of what has nothing in it.
    if (layers.size + revisions.size > 0)
      adoption.problem('name', name, `A repository is left out: ${error.message}`)
    return undefined
  }
}

interface TagTarget {
  readonly digest: Digest
  readonly link: LegacyFile
}

async function readTags(adoption: Adoption, { name, tags }: LegacyRepository): Promise<Map<Tag, TagTarget>> {
  const {
    parts: { from },
    options,
  } = adoption
  const targets = new Map<Tag, TagTarget>()
  const read = async ([tag, link]: readonly [Tag, LegacyFile]): Promise<void> => {
    try {
      targets.set(tag, { digest: await readLink(from, link, options), link })
    } catch (error) {
      if (!isDamage(error)) throw error
      adoption.problem('link', name, `The tag ${tag} is left out: ${error.message}`)
    }
  }
  await forEachParallel(tags, options.parallel, read, options)
  return targets
}

async function manifestsOf(
  adoption: Adoption,
  { name, layers, revisions }: LegacyRepository,
  tags: ReadonlyMap<Tag, TagTarget>,
): Promise<Set<Digest>> {
  const {
    parts: { from },
    options,
  } = adoption
  const digests = new Set<Digest>()
  for (const [digest, link] of revisions) {
    try {
      digests.add(await storedAs(from, digest, link, options))
    } catch (error) {
      if (!isDamage(error)) throw error
      adoption.problem('link', name, `The manifest ${digest} is left out: ${error.message}`)
    }
  }
  // Release 2.1.0 of distribution linked manifests as it does layers, and its successors still find them there.
  for (const { digest } of tags.values()) if (layers.has(digest)) digests.add(digest)
  return digests
}

/** Whether the tag is here now. */
async function adoptTag(
  adoption: Adoption,
  repository: RepositoryName,
  tag: Tag,
  { digest, link: { changedAt } }: TagTarget,
  { adopted }: ManifestAdoption,
): Promise<boolean> {
  const { parts, options, tally } = adoption
  if (!adopted.has(digest)) {
    adoption.problem(
      'tag',
      repository,
      `The tag ${tag} is left out: the manifest ${digest} that it names is not here.`,
    )
    return false
  }
  const { signal } = options
  const outcome = await parts.metadata.adoptTag({ repository, tag, digest, changedAt }, { signal })
  tally.tags[({ set: 'adopted', same: 'present', kept: 'kept' } as const)[outcome]] += 1
  return true
}
