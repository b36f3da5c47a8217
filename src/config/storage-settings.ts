import * as z from 'zod'
import { flag, list, positiveInteger } from './kinds.ts'

/** Where the bytes of blobs are. */
export const storageSettings = z.strictObject({
  driver: z
    .enum(['filesystem', 's3', 'manta'])
    .default('filesystem')
    .describe('filesystem (below data), s3 (any S3-compatible store) or manta (S3 as Manta speaks it).'),
  redirect: flag()
    .default(false)
    .describe('Whether a GET of a blob is answered with 307 to a presigned URL of the store.'),
  redirectSeconds: positiveInteger()
    .max(7 * 24 * 3600)
    .default(1200)
    .describe('How long such a URL is good for.'),
  redirectExcept: list().describe(
    'Addresses (CIDR) of clients that cannot reach the store, and so get blobs from the registry itself.',
  ),
  verifyReads: flag()
    .optional()
    .describe(
      'Whether a blob that is sent whole is checked on the way, and broken off before its end when the store gave other bytes; default true for s3 and manta. Ranges and redirects are never checked.',
    ),
  cacheBytes: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(64 * 1024 * 1024)
    .describe(
      'Memory of each process for blobs up to 64 KiB that were read last; these are always checked. 0 for none.',
    ),
  s3: z.strictObject({
    bucket: z.string().min(1).optional().describe('The bucket, which must exist.'),
    prefix: z
      .string()
      .regex(/^([a-z0-9._-]+\/)*$/, 'only a-z, 0-9, dot, underscore and hyphen, and a slash at the end')
      .default('')
      .describe('What all keys begin with, such as registry/ where the bucket has other tenants.'),
    region: z
      .string()
      .min(1)
      .default('us-east-1')
      .describe("The bucket's region; most other stores take any."),
    endpoint: z.url().optional().describe("URL of the store; without it, Amazon's for the region."),
    publicEndpoint: z
      .url()
      .optional()
      .describe('URL by which clients reach the store, for redirects; default endpoint.'),
    pathStyle: flag()
      .optional()
      .describe('Whether the bucket is in the path, not in the host name; default true with an endpoint.'),
    caFile: z.string().optional().describe('PEM file with the certificates that sign for the store.'),
    accessKeyId: z
      .string()
      .optional()
      .describe("Without it, credentials come from the SDK's chain: environment, profile, role."),
    secretAccessKey: z
      .string()
      .optional()
      .meta({ description: 'Better in a file: secretAccessKeyFile.', secret: true }),
    secretAccessKeyFile: z.string().optional().describe('File with the secret access key.'),
    contentMd5: flag()
      .optional()
      .describe('Whether uploads carry Content-MD5 for the store to check; default true for manta.'),
    maxSockets: positiveInteger()
      .default(256)
      .describe('Connections to the store at once, at most; each blob that is being read has one.'),
  }),
})
