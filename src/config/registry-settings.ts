import * as z from 'zod'
import { flag, list, positiveInteger } from './kinds.ts'

export const registrySettings = z.strictObject({
  address: z
    .string()
    .default('127.0.0.1:5000')
    .describe('host:port to listen on. One that other machines reach needs auth.mode, or auth.open.'),
  tls: z.strictObject({
    certificateFile: z
      .string()
      .optional()
      .describe(
        'PEM file with the certificate, and those above it; read again when it changes. Without it, plain HTTP.',
      ),
    keyFile: z
      .string()
      .optional()
      .describe('PEM file with its key, closed to others; read again when it changes.'),
    minVersion: z.enum(['1.2', '1.3']).default('1.2').describe('The oldest TLS that is spoken.'),
    hstsSeconds: z.coerce
      .number()
      .int()
      .nonnegative()
      .default(31_536_000)
      .describe('How long browsers are told to come with TLS only; 0 for not.'),
  }),
  workers: positiveInteger()
    .max(256)
    .default(1)
    .describe(
      'Processes that serve requests; each has its own memory for uploads and connections to the database.',
    ),
  idleTimeoutSeconds: positiveInteger()
    .default(60)
    .describe(
      'A connection on which nothing moves for so long is closed; there is no limit on a whole request.',
    ),
  drainSeconds: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(10)
    .describe('How long running requests may take to end after a stop was asked for.'),
  partBytes: z.coerce
    .number()
    .int()
    .min(5 * 1024 * 1024)
    .default(8 * 1024 * 1024)
    .describe('Bytes of one part of a multipart upload; an upload holds at most two parts in memory.'),
  uploadMemoryBytes: positiveInteger()
    .default(64 * 1024 * 1024)
    .describe(
      'Bytes of request bodies that are in memory at once, two parts at least; who finds none left waits.',
    ),
  minBodyBytesPerSecond: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(1024)
    .describe(
      'A request body that arrives more slowly, over idleTimeoutSeconds, is cut off; 0 for no bound.',
    ),
  trustedProxies: list().describe(
    'Addresses (CIDR) whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are believed; comma-separated or a list.',
  ),
  metricsAddress: z
    .string()
    .default('127.0.0.1:5001')
    .describe('host:port of metrics, health and debug; off for none.'),
  uploadExpiryHours: z.coerce
    .number()
    .positive()
    .default(24)
    .describe('How long an upload session that nobody continues is kept.'),
  readOnly: flag()
    .default(false)
    .describe(
      'Whether pushes and deletes are refused with 405, and so is whatever administration would change of repositories, tags and manifests.',
    ),
  requireReferences: z
    .enum(['none', 'blobs', 'all'])
    .default('blobs')
    .describe(
      'What must be there before a manifest is taken: nothing (none), its config and layers (blobs), or the children of an index as well (all).',
    ),
})
