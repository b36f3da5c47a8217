import type { Digest } from '../digest.ts'

/**
 * Indexes in an order in which each comes after those of its children that are among them. Digests cannot form a
 * circle; of what pretends to, nothing comes.
 */
export function childrenFirst(childrenOf: ReadonlyMap<Digest, readonly Digest[]>): Digest[] {
  const waitingFor = new Map<Digest, number>()
  const parentsOf = new Map<Digest, Digest[]>()
  for (const [parent, children] of childrenOf) {
    const here = new Set(children.filter(child => childrenOf.has(child)))
    waitingFor.set(parent, here.size)
    for (const child of here) {
      const parents = parentsOf.get(child) ?? []
      parents.push(parent)
      parentsOf.set(child, parents)
    }
  }
  const ready = [...waitingFor].filter(([, count]) => count === 0).map(([digest]) => digest)
  // What becomes ready is added while the loop runs.
  for (const digest of ready)
    for (const parent of parentsOf.get(digest) ?? []) {
      const left = (waitingFor.get(parent) ?? 0) - 1
      waitingFor.set(parent, left)
      if (left === 0) ready.push(parent)
    }
  return ready
}
