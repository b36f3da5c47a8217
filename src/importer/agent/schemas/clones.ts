import * as z from 'zod'
import { maxClonesOfOneCall } from '../../import-service.ts'
import {
  count,
  credentials,
  digest,
  failure,
  imageName,
  named,
  platform,
  priority,
  time,
  waitSeconds,
} from './common.ts'
import { processConfig, triton } from './images.ts'

export const cloneName = z
  .string()
  .max(128)
  .describe('Letters, digits and _ . -, beginning with a letter or digit, at most 128.')

const options = {
  image: imageName,
  pull: z
    .enum(['never', 'missing', 'always'])
    .describe(
      'When the image is imported first: when it is not there (missing, unless given), never, or always, so that a tag that has moved is followed.',
    )
    .optional(),
  waitSeconds: waitSeconds(60),
  platform,
  priority,
  credentials,
  quota: z.int().positive().describe('Bytes that a clone may grow to; ZFS only.').optional(),
  properties: z
    .record(z.string().max(256), z.string().max(8192))
    .describe('ZFS properties, of those that a clone may be given.')
    .optional(),
}

export const cloneRequest = named(
  'CloneRequest',
  z.strictObject({
    ...options,
    mountpoint: z
      .string()
      .min(1)
      .max(4096)
      .describe('An absolute path; below the pool unless given. ZFS only.')
      .optional(),
  }),
)

export const clonesRequest = named(
  'ClonesRequest',
  z.strictObject({ ...options, names: z.array(cloneName).min(1).max(maxClonesOfOneCall) }),
)

const cloneShape = {
  name: z.string(),
  chain: digest.describe('Chain ID of its last layer.'),
  dataset: z.string().describe('The dataset, or the directory where there are none.'),
  mountpoint: z.string(),
  rootfs: z.string().describe("The image's /: a directory below the mountpoint."),
  origin: z.string().describe('The snapshot that it was cloned from.'),
  createdAt: time,
  manifestDigest: digest.describe('Of the image that it was made of.').optional(),
  quota: count.describe('Bytes, as they are limited now.').optional(),
}

export const clone = named('Clone', z.strictObject(cloneShape))
export const clones = named('Clones', z.array(clone))

const effectiveProcess = z.strictObject({
  args: z.array(z.string()).describe('Empty when the image does not say: then the caller must.'),
  env: z.array(z.string()).describe('NAME=value, each name once; PATH and HOME are always there.'),
  cwd: z.string(),
  user: z.strictObject({
    uid: count,
    gid: count,
    additionalGids: z.array(count),
    name: z.string().optional(),
    home: z.string(),
  }),
})

export const clonedImage = named(
  'ClonedImage',
  z.strictObject({
    ...cloneShape,
    image: z.string(),
    manifestDigest: digest,
    config: z.unknown().describe('The whole image config, as the registry has it.'),
    process: processConfig.describe('What the image says to run.'),
    run: z
      .union([
        effectiveProcess,
        z.strictObject({ problem: z.string().describe('Why it cannot be run as it says.') }),
      ])
      .describe(
        "That, with all that it leaves open: the user by the clone's own accounts, PATH, the directory.",
      ),
    triton: triton.optional(),
  }),
)

export const cloneOutcomes = named(
  'CloneOutcomes',
  z.array(
    z.union([
      z.strictObject({ name: z.string(), clone }),
      z.strictObject({ name: z.string(), error: failure }),
    ]),
  ),
)
