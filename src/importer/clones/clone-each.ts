import pLimit from 'p-limit'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { Clone, CloneName } from '../chain/chain-store.ts'
import { type CloneOutcome, maxClonesOfOneCall } from '../import-service.ts'

/** Clones of one call that the store has at once. It knows best how many commands may run, but each waits in memory. */
const atOnce = 16

/** @throws DomainError `invalid`. */
export function refuseNames(names: readonly CloneName[]): void {
  const problem = problemOf(names)
  if (problem !== undefined) throw new DomainError('invalid', problem, { resource: 'request' })
}

function problemOf(names: readonly CloneName[]): string | undefined {
  if (names.length > maxClonesOfOneCall)
    return `${names.length} clones are too many for one call; ask for ${maxClonesOfOneCall} at a time.`
  const seen = new Set<CloneName>()
  for (const name of names) {
    if (seen.has(name)) return `The clone ${name} is asked for twice; give each name once.`
    seen.add(name)
  }
  return undefined
}

/** In the order of the names. One that fails keeps none of the others from it. Rejects when the signal is aborted. */
export async function cloneEach(
  names: readonly CloneName[],
  clone: (name: CloneName) => Promise<Clone>,
  { signal }: Abortable = {},
): Promise<CloneOutcome[]> {
  const limit = pLimit(atOnce)
  const settled = await Promise.allSettled(names.map(name => limit(() => outcomeOf(name, clone, signal))))
  signal?.throwIfAborted()
  return settled.map(one => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}

async function outcomeOf(
  name: CloneName,
  clone: (name: CloneName) => Promise<Clone>,
  signal: AbortSignal | undefined,
): Promise<CloneOutcome> {
  signal?.throwIfAborted()
  try {
    return { name, clone: await clone(name) }
  } catch (error) {
    if (isDomainError(error)) return { name, error }
    throw error
  }
}
