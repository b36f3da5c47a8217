import { Cron } from 'croner'
import type { MirrorJob } from '../../mirror-job.ts'

type Schedule = MirrorJob['schedule']

/** When the schedule wants a run next, later than `after` and without its jitter; undefined: never. */
export function nextScheduled(schedule: Schedule, after: Date): Date | undefined {
  if (schedule === undefined) return undefined
  const cron = new Cron(schedule.cron, { paused: true, timezone: schedule.timezone })
  return cron.nextRun(after) ?? undefined
}
