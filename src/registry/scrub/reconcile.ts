import type { Abortable } from '../../storage/abortable.ts'
import { forEachParallel } from '../../storage/adopt/parallel.ts'
import type { Digest } from '../../storage/digest.ts'
import type { ScrubRecords } from '../../storage/metadata/scrub-records.ts'
import type { ObjectStore } from '../../storage/objects/object-store.ts'
import { BytePace } from './byte-pace.ts'
import { type CheckedFault, type CheckOutcome, type CheckParts, checkBlob } from './check-blob.ts'
import { readStrays } from './read-strays.ts'
import { scrubObjects } from './scrub-objects.ts'
import { StoreFailures } from './store-failures.ts'

export interface ReconcileParts {
  readonly records: ScrubRecords
  readonly objects: Pick<ObjectStore, 'head' | 'get' | 'ping' | 'list'>
}

export interface ReconcileOptions extends Abortable {
  /** Told after each blob, each batch of listed objects, and each object that was read. */
  readonly onProgress?: ((report: ReconcileReport) => void) | undefined
  readonly onFault?: ((fault: CheckedFault) => void) | undefined
  /** How fast objects without a name are read; undefined: as fast as it goes. */
  readonly bytesPerSecond?: number | undefined
  /** Between two looks at an object that was wrong. */
  readonly pauseMs?: number | undefined
}

export interface ReconcileReport {
  /** That were looked at. */
  readonly blobs: number
  /** That the store has. */
  readonly objects: number
  /** Blobs that are quarantined now, and were not before. */
  readonly missing: number
  readonly corrupt: number
  /** Quarantined blobs, those too, that have got an object. */
  readonly healed: number
  /** Objects that no row names, and that were read. */
  readonly strays: number
  /** Of which nothing could be found out. */
  readonly unsettled: number
}

const defaultPauseMs = 1000

/** Rows that are asked for at once, and objects: who waits for the second look at one keeps no other waiting. */
const blobsAtOnce = 500
const objectsAtOnce = 32

/**
 * Compares rows and objects both ways, after one of them was put back to an earlier day: blobs whose object is missing, or
 * has another size, are quarantined, however many there are; objects that no row names are read, and heal those whose
 * bytes they have. Nothing is deleted. For a registry that serves nobody meanwhile: an upload under way could be taken for
 * a stray too early, which costs a reading.
 * @throws DomainError when the store, or the database, does not answer.
 */
export async function reconcile(
  { records, objects }: ReconcileParts,
  { onProgress, onFault, bytesPerSecond, pauseMs = defaultPauseMs, signal }: ReconcileOptions = {},
): Promise<ReconcileReport> {
  const report = { blobs: 0, objects: 0, missing: 0, corrupt: 0, healed: 0, strays: 0, unsettled: 0 }
  const tell = (): void => onProgress?.({ ...report })
  const parts = {
    records,
    objects,
    pace: new BytePace(bytesPerSecond),
    pauseMs,
    onFault: (fault: CheckedFault) => {
      if (fault.isHealed) report.healed += 1
      onFault?.(fault)
    },
  }
  await checkAllBlobs(
    parts,
    outcome => {
      report.blobs += 1
      if (outcome === 'missing' || outcome === 'corrupt' || outcome === 'healed' || outcome === 'unsettled')
        report[outcome] += 1
      tell()
    },
    { signal },
  )
  for await (const listed of scrubObjects(parts, { after: undefined, signal })) {
    report.objects += listed.objects
    tell()
  }
  // Whatever was found up to now, by whatever clock.
  const foundBefore = new Date(8.64e15)
  for await (const outcome of readStrays(parts, { foundBefore, signal })) {
    if (outcome === 'read') report.strays += 1
    else if (outcome === 'healed' || outcome === 'unsettled') report[outcome] += 1
    tell()
  }
  return report
}

/** In byte order of the digests, by what the store says of each object. */
async function checkAllBlobs(
  parts: CheckParts & Pick<ReconcileParts, 'records'>,
  onChecked: (outcome: CheckOutcome) => void,
  options: Abortable,
): Promise<void> {
  const failures = new StoreFailures(parts.objects)
  for (let last: Digest | undefined; ; ) {
    const blobs = await parts.records.listBlobs(last, blobsAtOnce, options)
    await forEachParallel(
      blobs,
      objectsAtOnce,
      async blob => {
        try {
          onChecked(await checkBlob(parts, blob, { ...options, hashes: false }))
          failures.succeeded()
        } catch (error) {
          await failures.failed(error, options)
          onChecked('unsettled')
        }
      },
      options,
    )
    if (blobs.length < blobsAtOnce) return
    last = blobs.at(-1)?.digest
  }
}
