import type { Abortable } from '../../storage/abortable.ts'
import type { StrayRecords } from '../../storage/metadata/scrub-records.ts'
import { isObjectKey, type ObjectKey } from '../../storage/objects/keys.ts'
import type { ObjectInfo, ObjectStore } from '../../storage/objects/object-store.ts'

export interface ScrubObjectsParts {
  readonly objects: Pick<ObjectStore, 'list'>
  readonly records: Pick<StrayRecords, 'unknownObjects' | 'noteStrays'>
}

/** Keys that the database is asked about at once. */
const keysAtOnce = 500

/** Where all keys of our own are; what else is in the same place is somebody else's. */
const ownPrefix = 'blobs/'

/**
 * Lists what the store has after a key, and writes down what no row names. Tells of the last key of each batch.
 * @throws DomainError when the store, or the database, does not answer.
 */
export async function* scrubObjects(
  parts: ScrubObjectsParts,
  { after, signal }: Abortable & { readonly after: ObjectKey | undefined },
): AsyncGenerator<{ readonly last: ObjectKey; readonly objects: number }> {
  let batch: ObjectInfo[] = []
  const note = async (): Promise<{ last: ObjectKey; objects: number } | undefined> => {
    const last = batch.at(-1)?.key
    if (last === undefined) return undefined
    const keys = batch.map(({ key }) => key)
    const unknown = await parts.records.unknownObjects(keys, { signal })
    const strays = batch.filter(({ key }) => unknown.has(key))
    if (strays.length > 0) await parts.records.noteStrays(strays, { signal })
    const objects = batch.length
    batch = []
    return { last, objects }
  }
  for await (const object of parts.objects.list(ownPrefix, { after, signal })) {
    if (!isObjectKey(object.key)) continue
    batch.push(object)
    if (batch.length < keysAtOnce) continue
    const noted = await note()
    if (noted !== undefined) yield noted
  }
  const noted = await note()
  if (noted !== undefined) yield noted
}
