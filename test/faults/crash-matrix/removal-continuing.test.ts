/** Killed at each of its `zfs` commands; the table is in docs/crash-matrix.md. */
import { continuing } from './images.ts'
import { removalMatrix } from './removals.ts'

removalMatrix('Removal of an image at the end of a lineage that others need', continuing)
