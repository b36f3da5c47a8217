/** Killed at each of its `zfs` commands; the table is in docs/crash-matrix.md. */
import { branching } from './images.ts'
import { importMatrix } from './imports.ts'

importMatrix('Import of an image that branches off in the middle of a lineage', branching)
