import { Adoption, type AdoptionParts, type AdoptOptions } from './adoption.ts'
import { adoptRepository } from './adopt-repository.ts'
import { type AdoptReport, newTally } from './adopt-report.ts'
import { legacyPaths, mayMatter } from './legacy-layout.ts'
import { repositoriesIn } from './legacy-repository.ts'

export interface AdoptRegistryOptions extends AdoptOptions {
  /** Whether bytes that need not be copied are believed to be what they are called. For the record only. */
  readonly trust: boolean
}

/**
 * Takes over the content of another registry, out of the storage that it has left, or is still working on. Adds what is
 * not here, changes nothing over there and takes nothing away here; so it may be broken off and begun again, and be run
 * once ahead of time and once more when the old registry has stopped.
 *
 * What is damaged is told of and left out. Repositories are taken one after another, so that memory is bounded by the
 * largest.
 *
 * @throws DomainError when either side cannot be used at all; the signal's reason when aborted.
 */
export async function adoptRegistry(
  parts: AdoptionParts,
  options: AdoptRegistryOptions,
): Promise<AdoptReport> {
  const { from, mover } = parts
  const { signal, trust } = options
  signal?.throwIfAborted()
  const tally = newTally()
  const adoption = new Adoption(parts, options, tally)
  adoption.tell({ type: 'begun', from: from.name, blobs: mover.way, trust })
  for await (const found of repositoriesIn(
    from.list(legacyPaths.repositories, { enters: mayMatter, signal }),
  )) {
    signal?.throwIfAborted()
    if (found.kind === 'repository') await adoptRepository(adoption, found.repository)
    else adoption.problem('path', undefined, `${found.path} is left out: ${found.reason}.`)
  }
  return tally
}
