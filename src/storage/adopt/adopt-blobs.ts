import { isDomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { type Adoption, isDamage } from './adoption.ts'
import { storedAs } from './legacy-link.ts'
import type { LegacyRepository } from './legacy-repository.ts'
import type { LegacyFile } from './legacy-store.ts'
import { forEachParallel } from './parallel.ts'

export interface AdoptedBlobs {
  /** What the repository can serve now. */
  readonly here: ReadonlySet<Digest>
  /** What the old registry has links to, and no bytes. */
  readonly gone: ReadonlySet<Digest>
}

/** All blobs that the repository may serve, named by a manifest or not. */
export async function adoptBlobs(
  adoption: Adoption,
  name: RepositoryName,
  { layers }: LegacyRepository,
): Promise<AdoptedBlobs> {
  const { options } = adoption
  const here = new Set<Digest>()
  const gone = new Set<Digest>()
  await forEachParallel(
    layers,
    options.parallel,
    async ([digest, link]) => {
      const outcome = await adoptBlob(adoption, name, digest, link)
      if (outcome === 'here') here.add(digest)
      if (outcome === 'gone') gone.add(digest)
    },
    options,
  )
  return { here, gone }
}

async function adoptBlob(
  adoption: Adoption,
  repository: RepositoryName,
  digest: Digest,
  link: LegacyFile,
): Promise<'here' | 'gone' | 'damaged'> {
  const {
    parts: { from, mover, metadata },
    options: { signal },
    tally,
  } = adoption
  const known = await find(adoption, repository, digest)
  if (known !== undefined) {
    tally.blobs[known] += 1
    return 'here'
  }
  try {
    const place = await storedAs(from, digest, link, { signal })
    const isSuspect = (await metadata.findFault(digest, { signal })) !== undefined
    const blob = { repository, digest, storedAs: place, isSuspect }
    adoption.moved(repository, digest, await mover.move(blob, { signal }))
    return 'here'
  } catch (error) {
    if (isDomainError(error, 'not_found')) return 'gone'
    if (!isDamage(error)) throw error
    adoption.problem('blob', repository, `The blob ${digest} is left out: ${error.message}`)
    return 'damaged'
  }
}

/** Whether the blob is in the repository, or has been put there because another one has it. */
async function find(
  { parts: { metadata }, options: { signal } }: Adoption,
  repository: RepositoryName,
  digest: Digest,
): Promise<'present' | 'linked' | undefined> {
  if (await isFound(metadata.findBlob(repository, digest, { signal }))) return 'present'
  if (await isFound(metadata.linkBlob({ repository, from: undefined, digest }, { signal }))) return 'linked'
  return undefined
}

export async function isFound(looking: Promise<unknown>): Promise<boolean> {
  try {
    await looking
    return true
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}
