import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const mebibyte = 1024 * 1024
/** A collection takes about a millisecond, and this much comes in some fifty. */
const everyBytes = 8 * mebibyte

let unseenBytes = 0
let collectYoung: (() => void) | undefined

/**
 * To be told of bytes that were handed on and are of no use any more. V8 sees only the small objects that they hang on, and
 * leaves a hundred megabytes of them lying before it collects by itself: measured with a layer of 430 MB, 276 MiB for the
 * whole process instead of 230, at the same speed.
 */
export function leaveBehind(bytes: number): void {
  unseenBytes += bytes
  if (unseenBytes < everyBytes) return
  unseenBytes = 0
  collectYoung ??= findCollector()
  collectYoung()
}

/** Node has a name for it only when it was started with an option, which whoever starts us would have to know. */
function findCollector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc')
  if (typeof collect !== 'function') return () => {}
  return () => void collect({ type: 'minor', execution: 'sync' })
}
