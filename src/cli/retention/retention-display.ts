import { counted } from '../../counted.ts'
import type { RetentionStatusView, RetentionTickView } from '../../registry/admin/retention-views.ts'
import { moment } from '../admin/run.ts'
import { formatTable } from '../format.ts'
import { printable } from '../printable.ts'

/** A policy in one line. */
export function describePolicy(policy: Readonly<Record<string, unknown>>): string {
  return printable(JSON.stringify(policy))
}

export function describeTick({ expired, tags, manifests, repositories, skipped }: RetentionTickView): string {
  const left = skipped === 0 ? '' : `; ${skipped} changed meanwhile and stay`
  return `${counted(tags, 'tag')} and ${counted(manifests, 'manifest')} without a tag dropped in ${counted(repositories, 'repository', 'repositories')}, ${counted(expired, 'tag')} whose time had come${left}`
}

export function describeStatus(status: RetentionStatusView): string {
  const { isEnabled, pausedAt, isUnderWay, beganAt, endedAt, nextAt } = status
  const state =
    pausedAt !== null
      ? `paused since ${moment(pausedAt)}, with the garbage collection`
      : !isEnabled
        ? 'not enabled'
        : isUnderWay
          ? 'a run is under way'
          : 'waiting'
  return formatTable(
    [],
    [
      ['retention', state],
      ['policies', String(status.policies)],
      ['last run', beganAt === null ? 'never' : `${moment(beganAt)} to ${moment(endedAt)}`],
      ['', `${counted(status.repositories, 'repository', 'repositories')} looked at`],
      ['dropped', `${counted(status.tags, 'tag')}, ${counted(status.manifests, 'manifest')} without a tag`],
      ['kept', `${status.skipped} that changed meanwhile`],
      ['next run', moment(nextAt)],
    ],
  )
}
