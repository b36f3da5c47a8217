/**
 * Does the work for each item, so many at once, and takes an item only when there is somebody to work on it. When one
 * fails no more are begun; it throws then what failed first, once all that were begun have ended.
 */
export async function inParallel<Item>(
  items: AsyncGenerator<Item, void, undefined>,
  count: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    try {
      while (failures.length === 0) {
        const { value, done } = await items.next()
        if (done === true || failures.length > 0) return
        await work(value)
      }
    } catch (error) {
      failures.push(error)
    }
  }
  await Promise.all(Array.from({ length: count }, worker))
  await items.return()
  if (failures.length > 0) throw failures[0]
}

/**
 * What the work makes of each item, in the order of the items, with so many ahead of who reads. The work must not fail.
 */
export async function* mapAhead<Item, Result>(
  items: AsyncIterable<Item>,
  count: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const ahead: Promise<Result>[] = []
  try {
    for await (const item of items) {
      ahead.push(work(item))
      const first = ahead.length >= count ? ahead.shift() : undefined
      if (first !== undefined) yield await first
    }
    for (let first = ahead.shift(); first !== undefined; first = ahead.shift()) yield await first
  } finally {
    await Promise.allSettled(ahead)
  }
}
