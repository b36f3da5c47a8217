import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { exportJWK, generateKeyPair } from 'jose'
import { Provider } from 'oidc-provider'

export interface OidcClient {
  readonly clientId: string
  readonly clientSecret: string
  readonly callback: string
}

/** A real OpenID provider that asks people for a name and any password, and for their consent. */
export interface OidcTestProvider extends AsyncDisposable {
  readonly url: string
  /** Knows one client from then on. */
  register(client: OidcClient): Promise<void>
}

/** @param claimsOf those of a person, by the name that they gave. */
export async function startOidcProvider(
  claimsOf: (name: string) => Readonly<Record<string, unknown>>,
): Promise<OidcTestProvider> {
  let listener: RequestListener = (_, response) => response.writeHead(503).end()
  const server = createServer((request, response) => listener(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await exportJWK(privateKey)), kid: 'only', alg: 'RS256', use: 'sig' }
  return {
    url,
    register: async ({ clientId, clientSecret, callback }) => {
      const provider = new Provider(url, {
        clients: [
          {
            client_id: clientId,
            client_secret: clientSecret,
            redirect_uris: [callback],
            grant_types: ['authorization_code'],
            response_types: ['code'],
          },
        ],
        jwks: { keys: [jwk] },
        cookies: { keys: ['a test needs no secret'] },
        claims: { openid: ['sub'], profile: ['groups', 'preferred_username'] },
        // Most providers put them there, whatever the specification says of the code flow.
        conformIdTokenClaims: false,
        findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...claimsOf(sub) }) }),
      })
      const callbackOf = provider.callback()
      listener = (request, response) => void callbackOf(request, response)
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
