import type { Action } from './people.ts'
import type { Repository } from './repositories.ts'
import { isIn, may, type Proof } from './rules.ts'
import { nobody } from './people.ts'

export type Mode = 'none' | 'token' | 'basic'

export const modes: readonly Mode[] = ['none', 'token', 'basic']

/** What a request needs: nothing at all; that something is shown; the catalog; or these actions. */
export type Need = 'nothing' | 'something' | 'catalog' | readonly Action[]

/** What of an answer a row is about. */
export interface Outcome {
  readonly status: number
  /** Of the error, if there is one with a body. */
  readonly code?: string | undefined
  /** The whole `WWW-Authenticate`. */
  readonly challenge?: string | undefined
}

/** One request, as far as it matters for who is let in. */
export interface Question {
  readonly mode: Mode
  /** `http://host:port` */
  readonly url: string
  readonly need: Need
  readonly repository: Repository
  /** That of the repository in this row. */
  readonly name: string
  readonly proof: Proof
}

/** How somebody is refused; undefined for whoever is let in. */
export function refusal(question: Question): Outcome | undefined {
  const { mode, need, proof } = question
  if (mode === 'none' || need === 'nothing') return undefined
  if (proof.is === 'nothing good') return unauthorized(question, proof.as === 'Bearer' ? 'invalid_token' : '')
  // Passwords are all that mode basic knows.
  if (mode === 'basic' && (proof.is === 'token' || (proof.is === 'person' && proof.as === 'Bearer')))
    return unauthorized(question, '')
  if (need === 'something') return proof.is === 'nobody' ? unauthorized(question, '') : undefined
  if (need === 'catalog')
    return proof.is === 'token' && proof.listsAll !== true
      ? unauthorized(question, 'insufficient_scope')
      : undefined
  return need.every(action => isAllowed(question, action)) ? undefined : tooLittle(question)
}

function isAllowed({ proof, repository, name }: Question, action: Action): boolean {
  switch (proof.is) {
    case 'nobody':
      return may(nobody, action, repository)
    case 'person':
      return (
        may(proof.person, action, repository) &&
        (proof.scopes === undefined || isIn(proof.scopes, action, name))
      )
    case 'token':
      return isIn(proof.access, action, name)
    case 'nothing good':
      return false
  }
}

/** Whoever shows a password is known, and no other credential would help; of tokens there may be better ones. */
function tooLittle(question: Question): Outcome {
  const { proof } = question
  if (proof.is === 'nobody') return unauthorized(question, '')
  return proof.is === 'person' && proof.as === 'Basic'
    ? { status: 403, code: 'DENIED' }
    : unauthorized(question, 'insufficient_scope')
}

function unauthorized(question: Question, error: string): Outcome {
  return { status: 401, code: 'UNAUTHORIZED', challenge: challenge(question, error) }
}

export const basicChallenge = 'Basic realm="varve"'

function challenge({ mode, url, need, name }: Question, error: string): string {
  if (mode === 'basic') return basicChallenge
  const scope = scopeFor(need, name)
  const parts = [`realm="${url}/token"`, 'service="varve"']
  if (scope !== '') parts.push(`scope="${scope}"`)
  if (error !== '') parts.push(`error="${error}"`)
  return `Bearer ${parts.join(',')}`
}

/** What a client asks the token service for; empty where there is nothing to ask for. */
export function scopeFor(need: Need, name: string): string {
  if (need === 'catalog') return 'registry:catalog:*'
  return typeof need === 'string' ? '' : `repository:${name}:${need.join(',')}`
}
