import type { Tree } from '../../support/tree.ts'
import {
  type Archive,
  describeArchive,
  describePart,
  type Ending,
  type Part,
  type Position,
} from './archive.ts'
import { type Difference, describeDifference, describeTree } from './difference.ts'
import type { Extracted, Tool } from './oracle.ts'
import type { Applied } from './subject.ts'

/** A comparison of one archive, or of as much of one as is not explained yet. */
export interface Scene {
  readonly tool: Tool
  readonly archive: Archive
  readonly ours: Applied
  readonly theirs: Extracted
}

/** The first part of an archive that makes a difference. */
export interface Step extends Scene {
  readonly part: Part | Ending
  /** Our tree without this part. */
  readonly before: Tree
  readonly differences: readonly Difference[]
}

/** The first part of an archive that we refuse. */
export interface Refusal {
  readonly archive: Archive
  readonly part: Part | Ending
  readonly position: Position
  readonly before: Tree
  readonly message: string
}

/** No rule explains what was found. */
export class Unexplained extends Error {}

/** For people. */
export function describeRefusal({ archive, part, before, message }: Refusal): string {
  return [
    `refused for no listed reason: ${message}`,
    describeArchive(archive),
    `at ${describePart(part)}`,
    'in',
    describeTree(before),
  ].join('\n')
}

/** For people. */
export function describeStep({ tool, archive, part, before, differences, theirs }: Step): string {
  return [
    `${tool} tar differs for no listed reason:`,
    ...differences.map(describeDifference),
    `it says: ${theirs.said} (status ${theirs.status})`,
    describeArchive(archive),
    `at ${describePart(part)}`,
    'in',
    describeTree(before),
  ].join('\n')
}
