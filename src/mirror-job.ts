import { Cron } from 'croner'
// One function of the package: every command reads the configuration, and so this file.
import validRange from 'semver/ranges/valid.js'
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

/** Must fit a tag as a whole, as if it stood between ^ and $. */
const regularExpression = z.string().min(1).max(512).refine(isRegularExpression, 'not a regular expression')

/** distribution-spec, "Pulling manifests". */
const tag = z
  .string()
  .regex(
    /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/,
    'not a tag (a digest is none: it cannot change, so copy it once)',
  )

const repositoryPattern = z
  .string()
  .min(1)
  .max(255)
  .regex(
    /^[a-z0-9._/*-]+$/,
    'a repository name, or one with * in it: lower-case letters, digits and . _ - / *',
  )

/**
 * `host[:port]`, as image names have it. A word without a dot and without a port would be the first part of a repository of
 * Docker Hub there.
 */
const registryHost = z
  .string()
  .max(255)
  .regex(
    /^[A-Za-z0-9.-]+(?::\d{1,5})?$|^\[[0-9a-fA-F:]+\](?::\d{1,5})?$/,
    'host or host:port, without https:// and without a user',
  )
  .refine(
    host => host === 'localhost' || /[.:]/.test(host),
    'a name without a dot needs its port, or images take it for a part of Docker Hub',
  )

/** One end: a registry, or our own stores when `registry` is left out. */
const place = z.strictObject({
  registry: registryHost.optional(),
  /** Name of credentials of `remote.credentials`; those that fit, unless given. */
  credentials: z.string().max(64).optional(),
})

const tagRules = z.strictObject({
  /**
   * Exactly these. Where there are neither include, semver nor newest, they are all, and the source is not asked which
   * there are. Without all four, every tag is meant.
   */
  names: z.array(tag).max(10_000).default([]),
  include: z.array(regularExpression).max(100).default([]),
  exclude: z.array(regularExpression).max(100).default([]),
  /**
   * A range of versions (npm's notation); tags that are no version of three numbers (`1.2.3`, `v1.2.3`) do not fit. What
   * has something behind the numbers (`1.2.3-rc.1`, `1.2.3-alpine`) fits only if the range names a version with the same
   * numbers that has something behind them too.
   */
  semver: z
    .string()
    .max(256)
    .refine(range => validRange(range, { loose: true }) !== null, 'not a range of versions, such as ^1.2')
    .optional(),
  /**
   * Of those that fit (names not counted), this many: by version where `semver` is given, else by the time that the image
   * says it was made. The latter costs up to two requests for each tag whose image has not been seen before, one of which
   * the source may count as a pull; so at most 1,000 tags may fit then.
   */
  newest: z.int().positive().max(10_000).optional(),
  /**
   * Tags that never change: what is at the target is not compared again, so they cost the source nothing but what
   * `referrers.recheckHours` asks for.
   */
  immutable: z.array(regularExpression).max(100).default([]),
})

export const mirrorJobSchema = z
  .strictObject({
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
    repositories: z.array(repositoryPattern).min(1).max(10_000),
    excludeRepositories: z.array(repositoryPattern).max(1000).default([]),
    tags: tagRules.prefault({}),
    /** `os/architecture[/variant]`; empty: all. */
    platforms: z
      .array(
        z
          .string()
          .max(128)
          .regex(/^[^/]+\/[^/]+(\/[^/]+)?$/, 'os/architecture[/variant], such as linux/arm64'),
      )
      .max(50)
      .default([]),
    /** What becomes of an index when there are platforms: `single` takes exactly one. */
    platformMode: z.enum(['sparse', 'single']).default('sparse'),
    referrers: z
      .strictObject({
        /** Without it, those by cosign's tags are not copied either. */
        include: z.boolean().default(true),
        artifactTypes: z.array(z.string().max(255)).max(50).default([]),
        legacyCosignTags: z.boolean().default(true),
        /**
         * How often what belongs to a tag that has not changed is looked at again, referrers and the platforms of an index; 0
         * for at each run.
         */
        recheckHours: z.number().nonnegative().default(24),
      })
      .prefault({}),
    /**
     * Only what is signed: something that looks like a signature (of cosign, or of notation) refers to it, at least. Nobody
     * looks whether the signature is right or whose it is: that is what trust policies are for.
     */
    onlySigned: z.boolean().default(false),
    /** What becomes of a tag that names something else at the target. */
    overwrite: z.enum(['replace', 'keep', 'fail']).default('replace'),
    /**
     * What becomes of tags at the target that the job would copy if the source had them, and that the source does not have
     * (any more). What only is not among the newest any longer stays.
     */
    prune: z
      .strictObject({
        mode: z.enum(['off', 'report', 'delete']).default('off'),
        /** Of the tags of a repository at the target that the job means. More are not deleted, but reported. */
        maxPercent: z.number().min(0).max(100).default(20),
      })
      .prefault({}),
    schedule: z
      .strictObject({
        cron: z.string().max(128).refine(isCron, 'not a cron expression'),
        timezone: z
          .string()
          .max(64)
          .refine(isTimezone, 'not a time zone, such as Europe/Berlin')
          .default('UTC'),
        /** Begins up to so much later. */
        jitterSeconds: z.number().nonnegative().max(86_400).default(60),
        /** Runs are paused outside of it: `22:00-06:00`. */
        window: z
          .string()
          .regex(
            /^(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d$/,
            'from-to by the clock, such as 22:00-06:00',
          )
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
  .refine(({ platforms, platformMode }) => platformMode !== 'single' || platforms.length === 1, {
    path: ['platformMode'],
    message: 'single takes exactly one platform, in platforms',
  })

/** With all defaults. */
export type MirrorJob = z.output<typeof mirrorJobSchema>

function isRegularExpression(text: string): boolean {
  try {
    new RegExp(`^(?:${text})$`, 'u')
    new RegExp(text, 'u')
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

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
