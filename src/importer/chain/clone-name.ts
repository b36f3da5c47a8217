import { DomainError } from '../../errors.ts'
import type { CloneName } from './chain-store.ts'

/** What every ZFS takes as one component, and no shell or option parser can misread: no leading dash, no `/ @ #`. */
const pattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

/** @throws DomainError `invalid`. */
export function parseCloneName(text: string): CloneName {
  if (!pattern.test(text))
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, 140))} is not a name for a clone; use letters, digits and _ . -, beginning with a letter or digit, at most 128.`,
      { resource: 'clone', name: text },
    )
  return text as CloneName
}
