/** Killed at each of its `zfs` commands; the table is in docs/crash-matrix.md. */
import { continuing } from './images.ts'
import { importMatrix } from './imports.ts'

importMatrix('Import of an image that goes on at the end of a lineage', continuing)
