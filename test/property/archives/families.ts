import fc from 'fast-check'
import { describeArchive } from './archive.ts'
import { changesets, checkChangesets, describeChangesets } from './changesets.ts'
import { attributed, checkAttributed } from './attributed.ts'
import type { Comparison } from './comparison.ts'
import { corruptedArchives } from './corrupt.ts'
import { archives } from './generate.ts'
import type { Subject } from './subject.ts'

/** What is checked of generated archives, and how many there are of each kind for a thousand of the first. */
export const families = {
  /** Applied by us, by GNU tar and by bsdtar. */
  compared: 1000,
  /** With other bytes somewhere: no answer is wrong, but there has to be one. */
  corrupted: 250,
  /** With whiteouts, applied by us and by the model of changesets. */
  changesets: 250,
  /** With extended attributes and ACLs of directories, applied with and without what an import knows of them. */
  attributed: 10,
} as const

export type Family = keyof typeof families

export interface Bench {
  readonly subject: Subject
  readonly comparison: Comparison
  /** Told what is tried next, for the case that it never ends. */
  readonly onArchive: (shown: () => string) => void
}

/** Runs so many archives of one family. Answers what is wrong with the first that fails, shrunk. */
export async function checkFamily(
  family: Family,
  { seed, count }: { readonly seed: number; readonly count: number },
  bench: Bench,
): Promise<string | undefined> {
  // Shrinking takes many more archives, and may be broken off when it has gone far enough.
  const options = { seed, numRuns: count, interruptAfterTimeLimit: longestMs, markInterruptAsFailure: false }
  const details = await fc.check(propertyOf(family, bench), options)
  if (!details.failed) return undefined
  const { counterexamplePath, errorInstance } = details
  const why =
    errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance)
  return `${family}, seed ${seed}, path ${counterexamplePath}: ${why}`
}

const longestMs = 600_000

function propertyOf(family: Family, { subject, comparison, onArchive }: Bench): fc.IAsyncProperty<[unknown]> {
  switch (family) {
    case 'compared':
      return fc.asyncProperty(archives, async archive => {
        onArchive(() => describeArchive(archive))
        await comparison.check(archive)
        subject.assertOutsideUntouched()
      })
    case 'corrupted':
      return fc.asyncProperty(corruptedArchives, async layers => {
        onArchive(() => layers.map(layer => layer.toString('base64')).join('\n'))
        await subject.apply(layers)
        subject.assertOutsideUntouched()
      })
    case 'changesets':
      return fc.asyncProperty(changesets, async layers => {
        onArchive(() => describeChangesets(layers))
        await checkChangesets(layers, subject)
        subject.assertOutsideUntouched()
      })
    case 'attributed':
      return fc.asyncProperty(attributed, async layers => {
        onArchive(() => JSON.stringify(layers))
        await checkAttributed(layers, subject)
        subject.assertOutsideUntouched()
      })
  }
}
