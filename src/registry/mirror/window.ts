import { Cron } from 'croner'
import type { MirrorJob } from '../../mirror-job.ts'

/** Both in minutes after midnight. One that ends before it begins lasts over midnight. */
interface Window {
  readonly from: number
  readonly to: number
}

/** @param text as the schema of jobs lets it through. */
function windowIn(text: string): Window {
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = text.split(/[:-]/).map(Number)
  return { from: fromHour * 60 + fromMinute, to: toHour * 60 + toMinute }
}

/**
 * When work may go on, for a time outside of the schedule's window; undefined inside of it, and where there is none. One
 * that begins when it ends is always open.
 */
export function notBefore(schedule: MirrorJob['schedule'], now: Date): Date | undefined {
  const window = schedule?.window === undefined ? undefined : windowIn(schedule.window)
  if (schedule === undefined || window === undefined || isIn(window, minuteOf(now, schedule.timezone)))
    return undefined
  const daily = `0 ${window.from % 60} ${Math.floor(window.from / 60)} * * *`
  return new Cron(daily, { paused: true, timezone: schedule.timezone }).nextRun(now) ?? undefined
}

function isIn({ from, to }: Window, minute: number): boolean {
  if (from === to) return true
  return from < to ? minute >= from && minute < to : minute >= from || minute < to
}

/** After midnight, on clocks there. */
function minuteOf(at: Date, timeZone: string): number {
  const format = new Intl.DateTimeFormat('en', {
    timeZone,
    hour: 'numeric',
    minute: 'numeric',
    hourCycle: 'h23',
  })
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
  return (parts.get('hour') ?? 0) * 60 + (parts.get('minute') ?? 0)
}
