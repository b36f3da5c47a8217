import { type Action, actions } from '../../storage/accounts/roles.ts'
import type { Access } from './access.ts'

export interface BearerChallenge {
  /** URL of the token service. */
  readonly realm: string
  readonly service: string
  /** Empty: a challenge without scope, as for GET /v2/. */
  readonly wanted: readonly Access[]
  /** Why what was shown is not enough; undefined when nothing was shown. */
  readonly error?: 'invalid_token' | 'insufficient_scope' | undefined
}

/**
 * `WWW-Authenticate` for tokens (distribution, "Token Authentication Specification"; RFC 6750, 3). Without blanks after
 * the commas, and every value quoted: some clients read no other form. An empty value stops docker's parser, so none is.
 */
export function bearerChallenge({ realm, service, wanted, error }: BearerChallenge): string {
  const scope = scopesOf(wanted).join(' ')
  const parameters = [
    `realm=${quoted(realm)}`,
    `service=${quoted(service)}`,
    ...(scope === '' ? [] : [`scope=${quoted(scope)}`]),
    ...(error === undefined ? [] : [`error=${quoted(error)}`]),
  ]
  return `Bearer ${parameters.join(',')}`
}

/** `WWW-Authenticate` for passwords (RFC 7617, 2). */
export function basicChallenge(realm: string): string {
  return `Basic realm=${quoted(realm)}`
}

/**
 * The scopes of a token that allows all of this, one for each resource, in the order in which they are first wanted.
 * Actions stand in the order pull, push, delete: containerd compares scopes as text.
 */
export function scopesOf(wanted: readonly Access[]): string[] {
  const byResource = new Map<string, Set<Action | '*'>>()
  for (const access of wanted) {
    const resource = access.kind === 'catalog' ? 'registry:catalog' : `repository:${access.name}`
    const actionsOfIt = byResource.get(resource) ?? new Set()
    byResource.set(resource, actionsOfIt.add(access.kind === 'catalog' ? '*' : access.action))
  }
  return [...byResource].map(
    ([resource, wantedActions]) =>
      `${resource}:${(['*', ...actions] as const).filter(action => wantedActions.has(action)).join(',')}`,
  )
}

const hostPattern =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/

/**
 * URL of the token service of a registry that was not told under which name it is reached: as the client called it.
 * @param host as the client wrote it: what is no host is not repeated.
 */
export function realmFor(scheme: 'http' | 'https', host: string): string {
  const realm = `${scheme}://${host}/token`
  // What has the form of a host may be none nevertheless: port 99999, 1.2.3.999.
  return hostPattern.test(host) && URL.canParse(realm) ? realm : `${scheme}://localhost/token`
}

/** RFC 9110, 5.6.4, without anything that would have to be escaped: few clients undo that, and no good value needs it. */
function quoted(text: string): string {
  return `"${text.toWellFormed().replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/gu, encodeURIComponent)}"`
}
