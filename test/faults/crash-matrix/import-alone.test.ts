/** Killed at each of its `zfs` commands; the table is in docs/crash-matrix.md. */
import { alone } from './images.ts'
import { importMatrix } from './imports.ts'

importMatrix('Import of an image that shares nothing', alone)
