import type { ObjectStore } from '../../src/storage/objects/object-store.ts'
import { interceptObjects } from './intercepted.ts'

export interface CountingObjectStore {
  readonly store: ObjectStore
  /** Calls by method since the last look. */
  take(): Record<string, number>
}

export function countingObjectStore(inner: ObjectStore): CountingObjectStore {
  let counts: Record<string, number> = {}
  const store = interceptObjects(inner, (method, call) => {
    counts[method] = (counts[method] ?? 0) + 1
    return call()
  })
  return {
    store,
    take() {
      const taken = counts
      counts = {}
      return taken
    },
  }
}
