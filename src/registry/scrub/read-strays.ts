import type { Abortable } from '../../storage/abortable.ts'
import { algorithmOf, type DigestAlgorithm } from '../../storage/digest.ts'
import type { BlobFaultRecords, StrayObject, StrayRecords } from '../../storage/metadata/scrub-records.ts'
import type { ObjectKey } from '../../storage/objects/keys.ts'
import { type ReadObjectParts, readObject } from './read-object.ts'
import { StoreFailures } from './store-failures.ts'

export interface ReadStraysParts extends ReadObjectParts {
  readonly records: Pick<
    StrayRecords,
    'unreadStrays' | 'unknownObjects' | 'noteStrayDigest' | 'forgetStrays'
  > &
    Pick<BlobFaultRecords, 'faultsOfSize' | 'healBlob'>
}

/** `known`: some row names it by now, or it is gone. */
export type StrayOutcome = 'read' | 'healed' | 'known' | 'unsettled'

const straysAtOnce = 100

/** Quarantined blobs of one size. */
const maxFaults = 100

/**
 * The second look at objects that no row named the first time: those that one names now are forgotten, the others read. A
 * quarantined blob whose bytes one has gets it.
 * @param foundBefore what was found later is left alone: it may be on its way.
 * @throws DomainError when the store, or the database, does not answer.
 */
export async function* readStrays(
  parts: ReadStraysParts,
  { foundBefore, signal }: Abortable & { readonly foundBefore: Date },
): AsyncGenerator<StrayOutcome> {
  const failures = new StoreFailures(parts.objects)
  for (let after: ObjectKey | undefined; ; ) {
    const strays = await parts.records.unreadStrays(foundBefore, after, straysAtOnce, { signal })
    const keys = strays.map(({ key }) => key)
    const unknown = await parts.records.unknownObjects(keys, { signal })
    const known = keys.filter(key => !unknown.has(key))
    if (known.length > 0) await parts.records.forgetStrays(known, { signal })
    for (const _ of known) yield 'known'
    for (const stray of strays) {
      if (!unknown.has(stray.key)) continue
      yield await readStray(parts, stray, { signal }).then(
        outcome => {
          failures.succeeded()
          return outcome
        },
        async (error: unknown) => {
          await failures.failed(error, { signal })
          return 'unsettled' as const
        },
      )
    }
    if (strays.length < straysAtOnce) return
    after = strays.at(-1)?.key
  }
}

async function readStray(
  parts: ReadStraysParts,
  { key, size }: StrayObject,
  options: Abortable,
): Promise<StrayOutcome> {
  const { records } = parts
  const faults = await records.faultsOfSize(size, maxFaults, options)
  const algorithms: DigestAlgorithm[] = [...new Set(['sha256' as const, ...faults.map(algorithmOf)])]
  const reading = await readObject(parts, key, { size, algorithms }, options)
  if (reading.kind === 'absent') {
    await records.forgetStrays([key], options)
    return 'known'
  }
  const [digest, ...others] = reading.kind === 'bytes' ? reading.digests : []
  if (digest === undefined) return 'unsettled'
  for (const fault of faults)
    if ([digest, ...others].includes(fault) && (await records.healBlob(fault, { key, size }, options)))
      return 'healed'
  await records.noteStrayDigest(key, digest, options)
  return 'read'
}
