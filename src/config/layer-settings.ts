import * as z from 'zod'
import { positiveInteger } from './kinds.ts'

const mebibyte = 1024 ** 2
const gibibyte = 1024 ** 3

/**
 * How layers are applied. Every layer is a stranger's, so everything that it can make this host spend has an end. The
 * defaults are those of `importer/layer/limits.ts` and `policy.ts`.
 */
export const layerSettings = z.strictObject({
  maxBytes: positiveInteger()
    .default(64 * gibibyte)
    .describe('Bytes that one layer may unpack to; a few KiB can be made to unpack to anything.'),
  maxRatio: positiveInteger()
    .default(200)
    .describe(
      'How many times its compressed size a layer may unpack to, from 16 MiB on: images stay far below, bombs do not.',
    ),
  maxEntries: positiveInteger()
    .default(2_000_000)
    .describe(
      'Files, directories and all else in one layer: each takes an inode, and none needs many bytes.',
    ),
  maxDepth: positiveInteger()
    .default(256)
    .describe(
      'Components of a path, also once symlinks are followed: deeper trees break the programs that walk them.',
    ),
  maxPathBytes: positiveInteger()
    .max(4096)
    .default(4096)
    .describe('Bytes of a path, also once symlinks are followed; systems take 4096 (PATH_MAX).'),
  maxXattrBytes: positiveInteger()
    .default(64 * 1024)
    .describe(
      "Bytes of the names and values of one entry's extended attributes together; Linux lets a single value have 64 KiB.",
    ),
  maxFifos: positiveInteger()
    .default(10_000)
    .describe('FIFOs in one layer; no image has more than a few, and a process makes them.'),
  maxLinks: positiveInteger()
    .default(65_000)
    .describe('Names of one file (hard links); ext4 has no more, and an image should fit every host.'),
  maxSeconds: positiveInteger()
    .default(3600)
    .describe('How long applying one layer may take: a bound for whatever the other limits leave open.'),
  devices: z
    .enum(['skip', 'empty-file', 'refuse'])
    .default('skip')
    .describe(
      "What becomes of device nodes, which are never made since they would be this host's: left out, an empty file in their place, or the layer refused.",
    ),
  fifos: z
    .enum(['make', 'skip', 'refuse'])
    .default('make')
    .describe('What becomes of FIFOs: made, left out, or the layer refused.'),
  xattrs: z
    .enum(['keep', 'drop'])
    .default('keep')
    .describe(
      'Whether extended attributes that mean something in a container (file capabilities, ACLs, user.*) are set where the file system has them.',
    ),
  downloads: positiveInteger()
    .max(64)
    .default(3)
    .describe(
      'Layers that are downloaded at once while an earlier one is applied; more gain little, and registries slow down who asks for much.',
    ),
  spoolBytes: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(4 * gibibyte)
    .describe(
      'Bytes on disk, beside the chains, of layers that were downloaded ahead, for all imports; never more than a quarter of what is free. 0 downloads each layer in its turn.',
    ),
  applying: positiveInteger()
    .max(64)
    .default(2)
    .describe('Layers that are applied at once, of all imports; each has two threads. Further imports wait.'),
  ahead: positiveInteger()
    .max(64)
    .default(2)
    .describe('Layers that are decompressed before it is their turn; each has a thread and a buffer.'),
  bufferBytes: z.coerce
    .number()
    .int()
    .min(mebibyte)
    .max(gibibyte)
    .default(16 * mebibyte)
    .describe(
      'Bytes of a layer that are decompressed and not written yet, for each that is applied or ahead; rounded down to a power of two.',
    ),
  heapBytes: z.coerce
    .number()
    .int()
    .min(64 * mebibyte)
    .default(512 * mebibyte)
    .describe('Bytes of memory for the names of one layer; a layer that needs more is refused.'),
})
