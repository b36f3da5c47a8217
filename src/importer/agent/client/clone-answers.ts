import { DomainError } from '../../../errors.ts'
import type { Clone, CloneName } from '../../chain/chain-store.ts'
import type { CloneOutcome } from '../../import-service.ts'
import { fromWire, type WireError } from '../wire.ts'
import { withDates } from './dates.ts'

/** One of the answers to a request for many clones. */
export type WireOutcome = { readonly name: CloneName } & ({ readonly clone: Clone } | WireError)

export function outcomeOf(outcome: WireOutcome): CloneOutcome {
  const { name } = outcome
  if ('clone' in outcome) return { name, clone: withDates(outcome.clone, 'createdAt') }
  const error = fromWire(outcome)
  return {
    name,
    error:
      error instanceof DomainError
        ? error
        : new DomainError('unavailable', error.message, { resource: 'clone', name }),
  }
}

/** The agent's wait was over before the import of the image was. */
export function pending(image: string): DomainError {
  return new DomainError(
    'unavailable',
    `The image ${image} is still being imported; ask again, or wait longer.`,
    { resource: 'image', name: image },
  )
}

/** Clones have a name and no state. */
export function isJob(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'state' in answer
}
