import { passwordOf } from '../../support/known-identities.ts'
import type { Credential } from './ask.ts'
import { developer, type Person } from './people.ts'
import { privateRepository } from './repositories.ts'
import type { Proof, Scope } from './rules.ts'
import type { World } from './world.ts'

/** With what somebody comes: always the developer, as far as it proves anything. */
export interface CredentialKind {
  readonly title: string
  readonly make: (world: World, wanted: Scope) => Promise<Credential> | Credential
}

export const account = developer.account ?? ''
export const password = passwordOf(account)
/** What the narrower credentials are good for. */
export const narrow: Scope = { name: privateRepository.name, actions: ['pull'] }
export const narrowScopes = [{ pattern: narrow.name, actions: narrow.actions }]

export const provesNobody: Proof = { is: 'nobody' }
export const nothingGood: Proof = { is: 'nothing good', as: 'Basic' }
export const noGoodToken: Proof = { is: 'nothing good', as: 'Bearer' }

export function person(as: 'Basic' | 'Bearer', scopes?: readonly Scope[], who: Person = developer): Proof {
  return { is: 'person', person: who, as, ...(scopes === undefined ? {} : { scopes }) }
}

export function plain(title: string, authorization: string | undefined, proof: Proof): CredentialKind {
  return { title, make: () => ({ authorization, proof }) }
}

export const notGood = (as: 'Basic' | 'Bearer'): Proof => (as === 'Basic' ? nothingGood : noGoodToken)
