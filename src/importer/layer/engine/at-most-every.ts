/**
 * Passes the first call on, and then those that come `milliseconds` or more after the last one that was passed on.
 * @param now a clock in milliseconds.
 */
export function atMostEvery<Value>(
  milliseconds: number,
  call: (value: Value) => void,
  now: () => number = () => performance.now(),
): (value: Value) => void {
  let last = Number.NEGATIVE_INFINITY
  return value => {
    const time = now()
    if (time - last < milliseconds) return
    last = time
    call(value)
  }
}
