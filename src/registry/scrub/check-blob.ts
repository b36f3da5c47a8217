import type { Abortable } from '../../storage/abortable.ts'
import { algorithmOf } from '../../storage/digest.ts'
import type { StoredBlob } from '../../storage/metadata/blob-records.ts'
import type {
  BlobFaultKind,
  BlobFaultRecords,
  ScrubbedBlob,
  StrayRecords,
} from '../../storage/metadata/scrub-records.ts'
import { type ExamineParts, examineBlob } from './examine-blob.ts'
import { readObject } from './read-object.ts'

export interface CheckParts extends ExamineParts {
  readonly records: Pick<BlobFaultRecords, 'quarantineBlob' | 'healBlob'> &
    Pick<StrayRecords, 'straysFor' | 'unknownObjects'>
  readonly onFault?: ((fault: CheckedFault) => void) | undefined
}

export interface CheckedFault {
  readonly blob: StoredBlob
  readonly kind: BlobFaultKind
  readonly detail: string
  /** Whether an object without a name had the bytes, and has taken the place of the damaged one. */
  readonly isHealed: boolean
}

/**
 * `known`: it is quarantined, and stays so; `healed`: it was quarantined; `gone`: it was deleted, or has got another object,
 * while it was looked at; `unsettled`: each look showed something else; `refused`: it is missing, and may not be.
 */
export type CheckOutcome =
  | 'sound'
  | 'known'
  | 'corrupt'
  | 'missing'
  | 'healed'
  | 'unsettled'
  | 'gone'
  | 'refused'

export interface CheckOptions extends Abortable {
  /** Whether the bytes are read. Those of a quarantined blob always are. */
  readonly hashes: boolean
  /** Asked before a blob is quarantined because its object is missing. */
  readonly mayBeMissing?: (() => boolean) | undefined
}

/** Strays of one size that are read for one blob. */
const maxCandidates = 100

/**
 * Looks at one blob's object, and quarantines or heals the blob.
 * @throws DomainError `unavailable` when the store or the database does not answer.
 */
export async function checkBlob(
  parts: CheckParts,
  blob: ScrubbedBlob,
  { hashes, mayBeMissing = () => true, signal }: CheckOptions,
): Promise<CheckOutcome> {
  const { records } = parts
  const { digest, objectKey, size, isQuarantined } = blob
  const verdict = await examineBlob(parts, blob, { hashes: hashes || isQuarantined, signal })
  if (verdict.kind === 'unsettled') return 'unsettled'
  if (verdict.kind === 'sound') {
    if (!isQuarantined) return 'sound'
    return (await records.healBlob(digest, { key: objectKey, size }, { signal })) ? 'healed' : 'gone'
  }
  const { kind, detail } = verdict
  if (isQuarantined) return (await healFromStray(parts, blob, { signal })) ? 'healed' : 'known'
  if (kind === 'missing' && !mayBeMissing()) return 'refused'
  const isFound = await records.quarantineBlob({ digest, objectKey, kind, detail }, { signal })
  if (!isFound) return 'gone'
  const isHealed = await healFromStray(parts, blob, { signal })
  parts.onFault?.({ blob, kind, detail, isHealed })
  return kind
}

/** Looks for the bytes among the objects that no row names: what has lost its row may be what has lost its object. */
async function healFromStray(parts: CheckParts, blob: StoredBlob, options: Abortable): Promise<boolean> {
  const { records } = parts
  const candidates = await records.straysFor(blob, maxCandidates, options)
  const unknown = await records.unknownObjects(
    candidates.map(({ key }) => key),
    options,
  )
  const wanted = { size: blob.size, algorithms: [algorithmOf(blob.digest)] }
  for (const object of candidates) {
    if (!unknown.has(object.key)) continue
    const reading = await readObject(parts, object.key, wanted, options)
    if (reading.kind !== 'bytes' || reading.digests[0] !== blob.digest) continue
    if (await records.healBlob(blob.digest, object, options)) return true
  }
  return false
}
