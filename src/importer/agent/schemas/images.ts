import * as z from 'zod'
import { count, digest, imageName, named, pooled, time } from './common.ts'
import { layerNotes } from './layers.ts'

export const imageQuery = z.strictObject({ ...pooled, image: imageName })

const summary = {
  names: z.array(z.string()),
  manifestDigest: digest,
  configDigest: digest,
  platform: z.string(),
  chainId: digest,
  size: count.describe('Bytes of all blobs, compressed.'),
  importedAt: time,
  lastUsedAt: time.describe('When it was last imported, cloned or published, to the minute.'),
  clones: count.describe('How many clones there are of its last layer.'),
}

export const imageSummaries = named('Images', z.array(z.strictObject({ ...summary, layers: count })))

/** The `config` member of an image config, as far as it says what to run. */
export const processConfig = named(
  'ProcessConfig',
  z.strictObject({
    Entrypoint: z.array(z.string()).optional(),
    Cmd: z.array(z.string()).optional(),
    Env: z.array(z.string()).optional(),
    WorkingDir: z.string().optional(),
    User: z.string().optional(),
  }),
)

/** What Triton and SmartOS take; their own documents say what is in it. */
export const triton = named(
  'TritonImage',
  z.strictObject({
    manifest: z.looseObject({ v: z.literal(2), uuid: z.guid() }).describe('As imgadm takes it.'),
    payload: z
      .looseObject({ brand: z.literal('lx'), image_uuid: z.guid() })
      .describe('What a zone of the image needs for vmadm create; the provisioner adds what is its own.'),
  }),
)

export const inspectedImage = named(
  'Image',
  z.strictObject({
    ...summary,
    layers: z
      .array(
        z.strictObject({
          blob: digest,
          diffId: digest,
          chainId: digest,
          size: count.describe('Bytes of the blob, compressed.'),
          applied: z
            .strictObject({
              location: z.string(),
              entries: count,
              bytes: count.describe('Of file content.'),
              notes: layerNotes.optional(),
            })
            .describe('Absent when the snapshot is no longer there.')
            .optional(),
        }),
      )
      .describe('Base first.'),
    config: z.unknown().describe('The whole image config, as the registry has it.'),
    process: processConfig,
    triton: triton.optional(),
  }),
)

export const removedImage = named(
  'RemovedImage',
  z.strictObject({ names: z.array(z.string()), manifestDigest: digest, removedChains: count }),
)
