/** When garbage is collected each day, by UTC. */
export interface CollectWindow {
  /** Minutes after midnight. When it is not before `to`, the window goes on after midnight. */
  readonly from: number
  readonly to: number
}

/** @param text `22:00-06:00`, as the configuration has checked it. */
export function parseWindow(text: string): CollectWindow {
  const [from = '', to = ''] = text.split('-')
  return { from: minutesOf(from), to: minutesOf(to) }
}

export function isInWindow({ from, to }: CollectWindow, now: Date): boolean {
  const minute = now.getUTCHours() * 60 + now.getUTCMinutes()
  return from < to ? minute >= from && minute < to : minute >= from || minute < to
}

function minutesOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number)
  return hours * 60 + minutes
}
