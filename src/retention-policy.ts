import { Cron } from 'croner'
import * as z from 'zod'

/**
 * A retention policy as it is written: in the configuration (`retention.policies`), or sent to the administration. What is
 * not named here is an error.
 */

const unitMs: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const tenYearsMs = 3660 * 86_400_000

/** `90m`, `12h`, `30d`, `4w`: milliseconds, a minute at least and ten years at most. Undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,8})([mhdw])$/.exec(text) ?? []
  const ms = Number(number) * (unitMs[unit] ?? Number.NaN)
  return ms >= 60_000 && ms <= tenYearsMs ? ms : undefined
}

const duration = z
  .string()
  .max(16)
  .refine(text => durationMs(text) !== undefined, 'a time such as 90m, 12h, 30d or 4w, ten years at most')

const repositoryPattern = z
  .string()
  .min(1)
  .max(255)
  .regex(
    /^[a-z0-9._/*-]+$/,
    'a repository name, or one with * in it: lower-case letters, digits and . _ - / *',
  )

/** What a tag may have, and `*` for any part. */
const tagPattern = /^[A-Za-z0-9_.*-]{1,128}$/
/** `/…/`, for the whole tag. It may take as long as whoever wrote it wants, so not everybody may write one. */
const regularExpression = /^\/.{1,510}\/$/u

const patternOfTags = z
  .string()
  .regex(tagPattern, 'a pattern of tags: letters, digits and . _ - *, at most 128 characters')
const patternOrExpression = z
  .string()
  .refine(
    text => tagPattern.test(text) || isExpression(text),
    'a pattern of tags, such as v* , or a regular expression between slashes',
  )

const ruleOf = (tags: typeof patternOfTags) =>
  z
    .strictObject({
      /** Tags that the rule is about; all, unless given. */
      tags: z.array(tags).min(1).max(20).optional(),
      /** But not these. */
      except: z.array(tags).max(20).default([]),
      /** So many of them stay, those set last. */
      keepNewest: z.int().positive().max(100_000).optional(),
      /** What is newest: what was pushed last, or what was pulled last; a push counts as a pull. */
      newestBy: z.enum(['push', 'pull']).default('push'),
      /** What was pushed within this time stays. */
      pushedWithin: duration.optional(),
      /** What was pulled, or pushed, within this time stays. Pulls are known to the hour. */
      pulledWithin: duration.optional(),
      keepAlways: z.boolean().default(false),
      /** They go, unless a rule keeps them always. */
      dropAlways: z.boolean().default(false),
    })
    .refine(({ keepNewest, pushedWithin, pulledWithin, keepAlways, dropAlways }) => {
      const keeps = keepNewest !== undefined || pushedWithin !== undefined || pulledWithin !== undefined
      return Number(keeps) + Number(keepAlways) + Number(dropAlways) === 1
    }, 'a rule has keepAlways, or dropAlways, or some of keepNewest, pushedWithin and pulledWithin')

const fieldsOf = (tags: typeof patternOfTags) => ({
  /** Whole names; `*` is any part of a segment, `**` any part of the name. */
  repositories: z.array(repositoryPattern).min(1).max(20),
  rules: z.array(ruleOf(tags)).max(20).default([]),
  /** What becomes of tags that no rule is about. */
  otherwise: z.enum(['keep', 'drop']).default('keep'),
  /** What has no tag, and is in no index, goes after this time. */
  untaggedAfter: duration.optional(),
  /** Nothing goes by this policy that is younger. */
  delay: duration.optional(),
  /** Only shows what would go. */
  dryRun: z.boolean().default(false),
})

interface Effects {
  readonly rules: readonly unknown[]
  readonly otherwise: 'keep' | 'drop'
  readonly untaggedAfter?: string | undefined
}

/** Whether it does anything. */
function hasEffect({ rules, otherwise, untaggedAfter }: Effects): boolean {
  return rules.length > 0 || otherwise === 'drop' || untaggedAfter !== undefined
}

const withoutEffect = 'a policy has rules, or untaggedAfter'

/** Of a tenant: nobody waits for a pattern of a stranger's. */
export const retentionPolicySchema = z.strictObject(fieldsOf(patternOfTags)).refine(hasEffect, withoutEffect)

/** Of the configuration, where regular expressions are allowed. */
export const configuredRetentionPolicySchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'up to 64 letters, digits, dots, underscores and hyphens'),
    ...fieldsOf(patternOrExpression),
  })
  .refine(hasEffect, withoutEffect)

/** With all defaults. */
export type RetentionPolicy = z.output<typeof retentionPolicySchema>
export type RetentionRule = RetentionPolicy['rules'][number]

/** How many patterns a tag may have to be compared with. */
export function patternsIn({ rules }: RetentionPolicy): number {
  return rules.reduce((sum, { tags = [], except }) => sum + tags.length + except.length, 0)
}

/** The expression of `/…/`, for the whole tag; undefined for a pattern. */
export function expressionOf(text: string): RegExp | undefined {
  return regularExpression.test(text) ? new RegExp(`^(?:${text.slice(1, -1)})$`, 'u') : undefined
}

export function isCronExpression(text: string): boolean {
  try {
    new Cron(text, { paused: true })
    return true
  } catch {
    return false
  }
}

function isExpression(text: string): boolean {
  try {
    return expressionOf(text) !== undefined
  } catch {
    return false
  }
}
