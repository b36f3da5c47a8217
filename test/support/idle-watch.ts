import { Transform } from 'node:stream'

/** Lets bytes through, and calls `idle` once when none has come for so long before the end. */
export function idleWatch(idleMs: number, idle: () => void): Transform {
  const watch = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      timer.refresh()
      done(null, chunk)
    },
  })
  const timer = setTimeout(() => {
    // Whoever reads has not taken what is there: the sender is not to blame.
    if (watch.readableLength > 0) timer.refresh()
    else idle()
  }, idleMs)
  const stop = (): void => clearTimeout(timer)
  return watch.once('end', stop).once('close', stop)
}
