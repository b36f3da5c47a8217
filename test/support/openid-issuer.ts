import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { once } from 'node:events'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'

export interface IssuerOptions {
  /** Speaks TLS with these. PEM. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined
}

interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly jwk: object
}

/** An OpenID provider as far as workloads know one: its two documents, and tokens that it signs. */
export class OpenIdIssuer implements AsyncDisposable {
  readonly url: string
  /** Paths that were asked for. */
  readonly requests: string[] = []
  /** What is answered instead of a document, by its path. */
  readonly answers = new Map<string, RequestListener>()
  readonly #server: Server
  #keys: SigningKey[] = []

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
    server.on('request', (request, response) => {
      const path = request.url ?? ''
      this.requests.push(path)
      const answer = this.answers.get(path)
      if (answer !== undefined) return answer(request, response)
      const document = this.#documentAt(path)
      response.statusCode = document === undefined ? 404 : 200
      response.setHeader('content-type', 'application/json').end(JSON.stringify(document ?? {}))
    })
  }

  static async start({ tls }: IssuerOptions = {}): Promise<OpenIdIssuer> {
    const server = tls === undefined ? createServer() : createTlsServer(tls)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const url = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`
    const issuer = new OpenIdIssuer(server, url)
    await issuer.addKey('first')
    return issuer
  }

  async addKey(kid: string, alg = 'ES256'): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
    this.#keys = [{ kid, alg, privateKey, jwk }, ...this.#keys]
  }

  removeKey(kid: string): void {
    this.#keys = this.#keys.filter(key => key.kid !== kid)
  }

  /** Signed with the newest key, for `varve` and five minutes unless the claims say otherwise. */
  async sign(claims: Readonly<Record<string, unknown>> = {}, header: object = {}): Promise<string> {
    const [key] = this.#keys
    if (key === undefined) throw new Error('the issuer has no key')
    const now = Math.floor(Date.now() / 1000)
    return await new SignJWT({
      iss: this.url,
      aud: 'varve',
      sub: 'job-1',
      iat: now,
      exp: now + 300,
      ...claims,
    })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
      .sign(key.privateKey)
  }

  /** The public keys, as anybody can have them. */
  get jwks(): { readonly keys: readonly object[] } {
    return { keys: this.#keys.map(({ jwk }) => jwk) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #documentAt(path: string): object | undefined {
    if (path === '/.well-known/openid-configuration')
      return { issuer: this.url, jwks_uri: `${this.url}/jwks` }
    return path === '/jwks' ? this.jwks : undefined
  }
}
