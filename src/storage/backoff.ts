/** The first pause. */
const firstMs = 1_000

/**
 * How long to wait after so many failures, one after another: twice as long each time, and at random between half of
 * that and all, so that receivers that come back are not met by everybody at once.
 *
 * @param askedMs what the receiver has asked for (Retry-After); it gets no less, up to the longest pause.
 * @param random between 0 and 1.
 */
export function backoffMs(
  failures: number,
  maxMs: number,
  askedMs: number = 0,
  random: number = Math.random(),
): number {
  const doubled = Math.min(firstMs * 2 ** Math.min(failures - 1, 30), maxMs)
  return Math.round(Math.max((doubled * (1 + random)) / 2, Math.min(askedMs, maxMs)))
}
