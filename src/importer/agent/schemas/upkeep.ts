import * as z from 'zod'
import { count, digest, imageName, named, time } from './common.ts'

export const pruneRequest = named(
  'PruneRequest',
  z.strictObject({
    unusedSeconds: z
      .number()
      .nonnegative()
      .describe('Only what nobody has imported, cloned or published for so long.')
      .optional(),
    targetBytes: count
      .describe('Least recently used first, until all images together use no more than this.')
      .optional(),
    dryRun: z.boolean().describe('Tells what would be removed, and removes nothing.').optional(),
  }),
)

export const pruneReport = named(
  'PruneReport',
  z.strictObject({
    removed: z.array(
      z.strictObject({
        names: z.array(z.string()),
        manifestDigest: digest,
        lastUsedAt: time,
        removedChains: count,
      }),
    ),
    kept: z.array(z.strictObject({ image: z.string(), reason: z.string() })),
    orphanedChains: count.describe('Chains that no image has; after a day without one they go too.'),
    usedBytesBefore: count.describe('What all chains took in the pool.'),
    usedBytesAfter: count,
  }),
)

export const history = named(
  'History',
  z.array(
    z.strictObject({
      dataset: z.string(),
      origin: z.string().describe('The snapshot that it branches off.').optional(),
      unfinished: z.boolean().describe('Somebody builds in it, or a dead builder has left it so.'),
      snapshots: z
        .array(
          z.strictObject({
            chainId: digest,
            location: z.string(),
            diffId: digest,
            entries: count,
            bytes: count.describe('Of file content.'),
            usedBytes: count.describe('What it takes in the pool.'),
            createdAt: time,
            images: z.array(z.string()).describe('Whose last layer this is.'),
            clones: z.array(z.string()),
            published: z.array(z.string()).describe('Datasets that it is published as.'),
          }),
        )
        .describe('Oldest first.'),
    }),
  ),
)

export const publishRequest = named('PublishRequest', z.strictObject({ image: imageName }))

export const publishedImage = named(
  'PublishedImage',
  z.strictObject({
    uuid: z.guid(),
    dataset: z.string().describe('POOL/UUID'),
    snapshot: z.string().describe('POOL/UUID@final'),
    chainId: digest,
    names: z.array(z.string()).describe('None when the image has been removed since.'),
  }),
)
export const publishedImages = named('PublishedImages', z.array(publishedImage))
