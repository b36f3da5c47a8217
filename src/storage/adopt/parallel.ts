import type { Abortable } from '../abortable.ts'

/**
 * Does `work` for every item, for at most `limit` at a time, and takes an item only when there is room for it. The
 * first failure ends it, when what had been begun has ended.
 */
export async function forEachParallel<Item>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
  { signal }: Abortable = {},
): Promise<void> {
  const rest = Iterator.from(items)
  let failed = false
  const takeTurns = async (): Promise<void> => {
    for (const item of rest) {
      signal?.throwIfAborted()
      if (failed) return
      try {
        await work(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const outcomes = await Promise.allSettled(Array.from({ length: limit }, takeTurns))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}
