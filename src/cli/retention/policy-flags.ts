import { InvalidArgumentError } from 'commander'
import { DomainError } from '../../errors.ts'
import { durationMs } from '../../retention-policy.ts'
import type { PolicyInput } from './read-policy.ts'

/** A policy of one rule, as flags say it. */
export interface PolicyFlags {
  readonly repositories?: string[]
  readonly tags?: string[]
  readonly except?: string[]
  readonly keepNewest?: number
  readonly by?: 'push' | 'pull'
  readonly pushedWithin?: string
  readonly pulledWithin?: string
  readonly keepAlways?: true
  readonly dropAlways?: true
  readonly untaggedAfter?: string
  readonly delay?: string
  readonly dryRun?: true
}

/** @param tenant whose repositories are all meant, unless flags name some. @throws DomainError `invalid` without a rule. */
export function policyOf(tenant: string, flags: PolicyFlags): PolicyInput {
  const { repositories = [`${tenant}/**`], untaggedAfter, delay, dryRun } = flags
  const { keepNewest, pushedWithin, pulledWithin, keepAlways, dropAlways } = flags
  const hasRule = [keepNewest, pushedWithin, pulledWithin, keepAlways, dropAlways].some(
    flag => flag !== undefined,
  )
  if (!hasRule && (untaggedAfter === undefined || flags.tags !== undefined || flags.except !== undefined))
    throw new DomainError(
      'invalid',
      'Say what stays (--keep-newest, --pushed-within, --pulled-within, --keep-always) or goes (--drop-always, --untagged-after), or name a --file.',
      { resource: 'config' },
    )
  const rule = {
    ...(flags.tags === undefined ? {} : { tags: flags.tags }),
    except: flags.except ?? [],
    keepNewest,
    newestBy: flags.by ?? ('push' as const),
    pushedWithin,
    pulledWithin,
    keepAlways: keepAlways === true,
    dropAlways: dropAlways === true,
  }
  return {
    repositories,
    rules: hasRule ? [withoutUndefined(rule)] : [],
    ...(untaggedAfter === undefined ? {} : { untaggedAfter }),
    ...(delay === undefined ? {} : { delay }),
    dryRun: dryRun === true,
  }
}

/** What was not given is not sent. */
function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Value
}

export function parsePatterns(text: string): string[] {
  return text
    .split(',')
    .map(pattern => pattern.trim())
    .filter(pattern => pattern !== '')
}

export function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a number, such as 10.')
}

export function parseTime(text: string): string {
  if (durationMs(text) !== undefined) return text
  throw new InvalidArgumentError('Write a time such as 90m, 12h, 30d or 4w.')
}
