import * as z from 'zod'
import { flag, fromJson, positiveInteger, webUrl } from './kinds.ts'

/** HTTP field names: RFC 9110, 5.1. */
export const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

const endpoint = z.strictObject({
  /** Identifies it in the database: one that is renamed is a new one. */
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'up to 64 letters, digits, dots, underscores and hyphens'),
  url: webUrl('an Authorization in headersFile'),
  format: z.enum(['distribution', 'cloudevents']).default('distribution'),
  /** Runs and upstreams only where somebody asks for them, so that a receiver hears of nothing that it did not expect. */
  kinds: z
    .array(z.enum(['manifest', 'blob', 'tag', 'mirror', 'upstream']))
    .min(1)
    .default(['manifest', 'blob', 'tag']),
  /** Names, in which `*` is any part of a segment and `**` any part at all. */
  repositories: z.array(z.string().min(1)).default(['**']),
  actions: z
    .array(z.enum(['push', 'pull', 'mount', 'delete', 'tag']))
    .default(['push', 'pull', 'mount', 'delete', 'tag']),
  /** Events of one request, at most. */
  batch: positiveInteger().max(1000).default(1),
  timeoutSeconds: positiveInteger().max(300).default(10),
  maxBackoffSeconds: positiveInteger().max(86_400).default(300),
  /** File with the key that requests are signed with. */
  secretFile: z.string().optional(),
  /** File of `Name: value` lines. */
  headersFile: z.string().optional(),
})

export type EndpointSettings = z.output<typeof endpoint>

/** Who is told what happens to the content. */
export const eventsSettings = z.strictObject({
  endpoints: z.preprocess(fromJson, z.array(endpoint)).default([]).meta({
    description:
      'Webhooks: name, url, format (distribution or cloudevents), kinds (manifest, blob, tag, and only if given mirror, upstream), repositories (patterns with * and **), actions (push, pull, mount, delete, tag), batch, timeoutSeconds, maxBackoffSeconds, secretFile (whsec_…, Standard Webhooks), headersFile (Name: value lines). A list; JSON in the environment.',
    show: showEndpoints,
  }),
  source: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$/, 'it is an absolute URI, such as https://registry.example.com')
    .default('urn:varve:registry')
    .describe('URI that CloudEvents name as their source; the same for all replicas.'),
  pulls: flag()
    .default(false)
    .describe('Whether GETs of manifests and blobs are events as well; some may be lost with the process.'),
  retentionDays: positiveInteger().default(7).describe('How long events are kept, delivered or not.'),
})

/** The path and query of a webhook's URL are often all that keeps others from calling it. */
function showEndpoints(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return (value as readonly EndpointSettings[]).map(({ url, ...settings }) => ({
    name: settings.name,
    url: `${new URL(url).origin}/…`,
    format: settings.format,
    kinds: settings.kinds,
    repositories: settings.repositories,
    actions: settings.actions,
    batch: settings.batch,
    timeoutSeconds: settings.timeoutSeconds,
    maxBackoffSeconds: settings.maxBackoffSeconds,
    secretFile: settings.secretFile,
    headersFile: settings.headersFile,
  }))
}
