import { Cron } from 'croner'
import * as z from 'zod'

/**
 * A mirror job as it is written: in the configuration (`mirror.jobs`), or sent to the administration. Units are in the
 * names; what is not named here is an error.
 */

const name = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/,
    'lower-case letters, digits, and . _ - between them, at most 64',
  )

const regularExpression = z.string().min(1).max(512).refine(isRegularExpression, 'not a regular expression')

/** One end: a registry, or our own stores when `registry` is left out. */
const place = z.strictObject({
  registry: z.string().min(1).max(255).optional(),
  /** Name of credentials of `remote.credentials`; those that fit, unless given. */
  credentials: z.string().max(64).optional(),
})

const tagRules = z.strictObject({
  /** Exactly these, without asking which there are. */
  names: z.array(z.string()).max(10_000).default([]),
  include: z.array(regularExpression).max(100).default([]),
  exclude: z.array(regularExpression).max(100).default([]),
  /** A range of versions (npm's notation); tags that are no version do not fit. */
  semver: z.string().max(256).optional(),
  /** Of those that fit, this many: by version where `semver` is given, else by the time that the image says it was made. */
  newest: z.int().positive().max(10_000).optional(),
  /** Tags that never change: what is at the target is not compared again. */
  immutable: z.array(regularExpression).max(100).default([]),
})

export const mirrorJobSchema = z.strictObject({
  name,
  enabled: z.boolean().default(true),
  source: place,
  target: place.extend({
    /** Put before each repository's name. */
    prefix: z.string().max(255).default(''),
    /** Taken away from the beginning of each name first. */
    stripPrefix: z.string().max(255).default(''),
  }),
  /** Names; with `*` (any part of a segment) or `**` (any part at all), what the source's catalog has of them. */
  repositories: z.array(z.string().min(1).max(255)).min(1).max(10_000),
  excludeRepositories: z.array(z.string().min(1).max(255)).max(1000).default([]),
  tags: tagRules.prefault({}),
  /** `os/architecture[/variant]`; empty: all. */
  platforms: z.array(z.string().max(128)).max(50).default([]),
  /** What becomes of an index when there are platforms. */
  platformMode: z.enum(['sparse', 'single']).default('sparse'),
  referrers: z
    .strictObject({
      include: z.boolean().default(true),
      artifactTypes: z.array(z.string().max(255)).max(50).default([]),
      legacyCosignTags: z.boolean().default(true),
      /** How often those of a tag that has not changed are looked at again; 0 for at each run. */
      recheckHours: z.number().nonnegative().default(24),
    })
    .prefault({}),
  /** Only what is signed: something that looks like a signature refers to it, at least. */
  onlySigned: z.boolean().default(false),
  /** What becomes of a tag that names something else at the target. */
  overwrite: z.enum(['replace', 'keep', 'fail']).default('replace'),
  /** What becomes of tags at the target that the source does not have (any more). */
  prune: z
    .strictObject({
      mode: z.enum(['off', 'report', 'delete']).default('off'),
      /** More than that are not deleted at once, but reported. */
      maxPercent: z.number().min(0).max(100).default(20),
    })
    .prefault({}),
  schedule: z
    .strictObject({
      cron: z.string().max(128).refine(isCron, 'not a cron expression'),
      timezone: z.string().max(64).default('UTC'),
      /** Begins up to so much later. */
      jitterSeconds: z.number().nonnegative().max(86_400).default(60),
      /** Runs are paused outside of it: `22:00-06:00`. */
      window: z
        .string()
        .regex(/^\d{2}:\d{2}-\d{2}:\d{2}$/, 'from-to, such as 22:00-06:00')
        .optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      concurrency: z.int().positive().max(64).default(3),
      requestsPerSecond: z.number().positive().optional(),
      bytesPerSecond: z.number().positive().optional(),
      /** Pauses until the source's window is over when no more pulls than this are left. */
      pullsLeft: z.int().nonnegative().default(0),
    })
    .prefault({}),
})

/** With all defaults. */
export type MirrorJob = z.output<typeof mirrorJobSchema>

function isRegularExpression(text: string): boolean {
  try {
    new RegExp(text, 'v')
    return true
  } catch {
    return false
  }
}

function isCron(text: string): boolean {
  try {
    new Cron(text, { paused: true })
    return true
  } catch {
    return false
  }
}
