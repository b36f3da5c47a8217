/**
 * `all` in another order: its `some` spread evenly among the others, both in the order that they had.
 */
export function spread<Item>(all: readonly Item[], some: ReadonlySet<Item>): Item[] {
  const rare = all.filter(item => some.has(item))
  const others = all.filter(item => !some.has(item))
  const placed = [...placesOf(rare), ...placesOf(others)]
  return placed.toSorted((left, right) => left.at - right.at).map(({ item }) => item)
}

/** Each in the middle of its part of one whole. */
function placesOf<Item>(items: readonly Item[]): { readonly item: Item; readonly at: number }[] {
  return items.map((item, index) => ({ item, at: (index + 0.5) / items.length }))
}
