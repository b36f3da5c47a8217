/** Killed at each of its `zfs` commands; the table is in docs/crash-matrix.md. */
import { alone } from './images.ts'
import { removalMatrix } from './removals.ts'

removalMatrix('Removal of an image that shares nothing', alone)
