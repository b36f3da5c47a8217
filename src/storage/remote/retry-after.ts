/** More is nobody's wish. Milliseconds. */
const longestMs = 24 * 60 * 60 * 1000

/** How long `Retry-After` asks to wait (RFC 9110, 10.2.3: seconds, or a date), in milliseconds, at most a day. */
export function retryAfterMsOf(header: string | undefined, now: number = Date.now()): number | undefined {
  const text = header?.trim() ?? ''
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestMs)
}
