import { DomainError } from '../../../errors.ts'
import { actions as knownActions } from '../../../storage/accounts/roles.ts'

/** A resource and what is wanted, or allowed, with it: an entry of the claim `access`, and of a parameter `scope`. */
export interface ResourceScope {
  /** `repository`, `registry`; others are legal and mean nothing here. */
  readonly type: string
  /** Deprecated: `plugin` in `repository(plugin)`. Kept for those who compare. */
  readonly class?: string | undefined
  readonly name: string
  readonly actions: readonly string[]
}

/** What may be asked for at once: docker asks for the target of a push and the sources of its mounts. */
export const maxScopes = 100
/** Characters: room for a host, a port and the longest name. */
const maxScopeLength = 1024
const maxActions = 16

const typePattern = /^([a-z0-9]+)(?:\(([a-z0-9]+)\))?$/
const namePattern = /^[\x21-\x7e]+$/
const actionPattern = /^(?:[a-z]+|\*)$/

/**
 * The scopes that a client asks for (distribution, "Docker Registry Token Scope and Access"), each resource once, in the
 * order in which they were first named. What is malformed is not granted, and so not here.
 *
 * @param texts each with any number of scopes, separated by blanks.
 * @throws DomainError `invalid` for more than {@link maxScopes}.
 */
export function parseScopes(texts: readonly string[]): ResourceScope[] {
  const parts = texts.flatMap(text => text.split(' ')).filter(part => part !== '')
  if (parts.length > maxScopes)
    throw new DomainError(
      'invalid',
      `A token can be had for at most ${maxScopes} scopes; ask for several tokens.`,
      { resource: 'credential' },
    )
  return mergeScopes(parts.flatMap(part => parseScope(part) ?? []))
}

/** One `type:name:action,action`; undefined when it is malformed. */
export function parseScope(text: string): ResourceScope | undefined {
  // From both ends, because the name may begin with a host and its port.
  const first = text.indexOf(':')
  const last = text.lastIndexOf(':')
  if (text.length > maxScopeLength || first === last) return undefined
  const [, type, typeClass] = typePattern.exec(text.slice(0, first)) ?? []
  const name = text.slice(first + 1, last)
  if (type === undefined || !namePattern.test(name)) return undefined
  const actions = text
    .slice(last + 1)
    .split(',')
    .filter(action => actionPattern.test(action))
    .slice(0, maxActions)
  return { type, ...(typeClass === undefined ? {} : { class: typeClass }), name, actions: inOrder(actions) }
}

/** The grammar that {@link parseScope} reads. */
export function printScope({ type, class: typeClass, name, actions }: ResourceScope): string {
  return `${type}${typeClass === undefined ? '' : `(${typeClass})`}:${name}:${actions.join(',')}`
}

/** Each type and name once, with all actions; the first class that was given stays. */
export function mergeScopes(scopes: readonly ResourceScope[]): ResourceScope[] {
  const merged = new Map<string, ResourceScope>()
  for (const scope of scopes) {
    const key = `${scope.type}:${scope.name}`
    const known = merged.get(key)
    const typeClass = known?.class ?? scope.class
    merged.set(key, {
      type: scope.type,
      ...(typeClass === undefined ? {} : { class: typeClass }),
      name: scope.name,
      actions: inOrder([...(known?.actions ?? []), ...scope.actions]),
    })
  }
  return [...merged.values()]
}

/** Each once; `pull,push,delete` in this order, which containerd compares as text, and then the others. */
function inOrder(actions: readonly string[]): string[] {
  const others = actions.filter(action => !isKnown(action))
  return [...new Set([...knownActions.filter(action => actions.includes(action)), ...others])]
}

function isKnown(action: string): boolean {
  return knownActions.some(known => known === action)
}
