import type { Digest } from '../../storage/digest.ts'
import type { BlobFaultKind } from '../../storage/metadata/scrub-records.ts'
import type { Reading } from './read-object.ts'

/** What is the matter with a blob, after its object was looked at some times. */
export type BlobVerdict =
  | { readonly kind: 'sound' }
  | { readonly kind: BlobFaultKind; readonly detail: string }
  /** Each look showed something else. */
  | { readonly kind: 'unsettled' }
  | { readonly kind: 'again' }

/** Looks at one object, after which nothing is believed of it. */
const maxReadings = 3

/**
 * What was seen twice alike is what the store has; one wrong answer may be that of a cable, a proxy or a moment.
 * @param hashes whether the bytes were read; otherwise the right size is all that is asked for.
 */
export function blobVerdict(
  { digest, size }: { readonly digest: Digest; readonly size: number },
  readings: readonly Reading[],
  hashes: boolean,
): BlobVerdict {
  const last = readings.at(-1)
  if (last?.kind === 'bytes' && last.size === size && (!hashes || last.digests[0] === digest))
    return { kind: 'sound' }
  const words = readings.map(describe)
  const twice = words.find((word, index) => words.indexOf(word) < index)
  if (last !== undefined && twice !== undefined && twice === describe(last))
    return { kind: last.kind === 'absent' ? 'missing' : 'corrupt', detail: twice }
  return { kind: readings.length < maxReadings ? 'again' : 'unsettled' }
}

function describe(reading: Reading): string {
  switch (reading.kind) {
    case 'absent':
      return 'the store does not have the object'
    case 'unreadable':
      return 'the disk cannot read it (EIO)'
    case 'bytes':
      return reading.digests.length === 0
        ? `it has ${reading.size} bytes`
        : `its bytes are ${reading.digests.join(' ')}`
  }
}
