/** Killed at each of its `zfs` commands; the table is in docs/crash-matrix.md. */
import { branching } from './images.ts'
import { removalMatrix } from './removals.ts'

removalMatrix('Removal of an image that branched off in the middle of a lineage', branching)
