import { request } from 'undici'
import { type Answer, type Call, RegistryClient } from './registry-client.ts'

export type AuthMode = 'basic' | 'token'

/** Headers for one request, as somebody who is known. */
export type Authorize = (method: string, path: string) => Promise<Readonly<Record<string, string>>>

/**
 * As clients do: with Basic the password goes with each request; with Bearer a token is got from the token service for what the
 * request needs, and used again for the same.
 *
 * @param login `Authorization` with the password.
 * @param also scopes that every token is asked for, besides.
 */
export function authorizing(
  url: string,
  mode: AuthMode,
  login: string,
  also: readonly string[] = [],
): Authorize {
  if (mode === 'basic') return () => Promise.resolve({ authorization: login })
  const tokens = new Map<string, Promise<string>>()
  const tokenFor = async (scopes: readonly string[]): Promise<string> => {
    const query = new URLSearchParams({ service: 'varve' })
    for (const scope of scopes) query.append('scope', scope)
    const response = await request(`${url}/token?${query.toString()}`, { headers: { authorization: login } })
    const { token } = (await response.body.json()) as { token?: string }
    if (token === undefined) throw new Error(`the token service answered ${response.statusCode}`)
    return token
  }
  return async (_method, path) => {
    const scopes = [...scopesFor(path), ...also]
    const key = scopes.join(' ')
    const token = tokens.get(key) ?? tokenFor(scopes)
    tokens.set(key, token)
    return { authorization: `Bearer ${await token}` }
  }
}

/** All that may be done in the repository, and reading from the one that is mounted from. */
function scopesFor(path: string): string[] {
  const { pathname, searchParams } = new URL(path, 'http://registry')
  if (pathname === '/v2/_catalog') return ['registry:catalog:*']
  const [, name] = /^\/v2\/(.+?)\/(?:manifests|blobs|tags|referrers)\//.exec(pathname) ?? []
  const from = searchParams.get('from')
  return [
    ...(name === undefined ? [] : [`repository:${name}:pull,push,delete`]),
    ...(from === null ? [] : [`repository:${from}:pull`]),
  ]
}

/** A client that proves who it is with every request. */
export class AuthorizedClient extends RegistryClient {
  readonly #authorize: Authorize

  constructor(url: string, authorize: Authorize) {
    super(url)
    this.#authorize = authorize
  }

  override async send(method: string, path: string, { headers = {}, ...call }: Call = {}): Promise<Answer> {
    const authorization = await this.#authorize(method, path)
    return await super.send(method, path, { ...call, headers: { ...authorization, ...headers } })
  }
}
