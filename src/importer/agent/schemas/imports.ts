import * as z from 'zod'
import {
  count,
  credentials,
  digest,
  failure,
  imageName,
  milliseconds,
  named,
  platform,
  pooled,
  priority,
  time,
  waitSeconds,
} from './common.ts'
import { layerReport } from './layers.ts'

export const importRequest = named(
  'ImportRequest',
  z.strictObject({
    image: imageName,
    platform,
    priority,
    credentials,
    waitSeconds: waitSeconds(0),
  }),
)

export const importQuery = z.strictObject({
  ...pooled,
  follow: z
    .enum(['true', 'false'])
    .describe(
      'true: the answer is the progress, one record a line, and the import ends when its last follower leaves; else it goes on in any case.',
    )
    .optional(),
})

export const importResult = {
  image: z.string(),
  manifestDigest: digest,
  chainId: digest,
  location: z.string().describe("The chain store's name for the snapshot."),
  layers: count,
  imported: count.describe('Layers that this import has applied; 0 when there was nothing to do.'),
  milliseconds,
}

const layerState = named(
  'LayerState',
  z.strictObject({
    chainId: digest,
    diffId: digest,
    blob: digest,
    phase: z
      .enum(['present', 'queued', 'waiting', 'download', 'apply', 'commit', 'done'])
      .describe(
        'present: it was there or another import has made it; waiting: another import is making it; queued: nothing of it has come yet.',
      ),
    blobBytes: count.describe('Bytes of the blob that have come, of size.'),
    size: count,
    entries: count,
    bytes: count.describe('Of file content.'),
    bytesPerSecond: z.number().nonnegative().describe('Bytes of the blob, over the last seconds.'),
  }),
)

export const job = named(
  'Import',
  z.strictObject({
    id: z.string(),
    image: z.string(),
    platform: z.string(),
    credentials: z.string().optional(),
    priority: z.int(),
    state: z.enum(['queued', 'running', 'done', 'failed', 'cancelled']),
    createdAt: time,
    startedAt: time.optional(),
    endedAt: time.optional(),
    manifestDigest: digest.optional(),
    layers: z
      .array(layerState)
      .describe(
        'Base first; empty until the image is resolved, and again when many have ended since this one.',
      ),
    result: z.strictObject(importResult).optional(),
    error: failure.optional(),
  }),
)

export const jobs = named('Imports', z.array(job))

const plannedLayer = z.strictObject({
  chainId: digest,
  diffId: digest,
  blob: digest,
  size: count,
  present: z.boolean(),
})

/** One line of the progress of an import. */
export const record = named(
  'ImportRecord',
  z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('resolved'),
      image: z.string(),
      manifestDigest: digest,
      platform: z.string(),
      layers: z.array(plannedLayer),
    }),
    z.strictObject({
      type: z.literal('waiting').describe('Another import is making this layer.'),
      chainId: digest,
    }),
    z.strictObject({
      type: z.literal('layer-progress'),
      layer: count.describe('Its place in the image, from 0 at the base.'),
      phase: z.enum(['download', 'apply', 'commit']),
      blobBytes: count,
      size: count,
      entries: count,
      bytes: count,
      bytesPerSecond: z.number().nonnegative(),
    }),
    z.strictObject({
      type: z.literal('layer-done'),
      layer: count,
      chainId: digest,
      location: z.string(),
      report: layerReport,
      milliseconds,
    }),
    z.strictObject({ type: z.literal('done').describe('The last record.'), ...importResult }),
    z.strictObject({ type: z.literal('error').describe('The last record.'), error: failure }),
  ]),
)
