import type { ServerOptions } from 'node:http'
import { createServer, type Server } from 'node:https'
import { type RenewalOptions, renewCertificates } from './renew-certificates.ts'
import { readTlsFiles, type TlsFiles, versionOf } from './tls-files.ts'

export interface SecureServerOptions {
  /** HTTP's. */
  readonly http: ServerOptions
  /** For a handshake that does not come to its end. Milliseconds. */
  readonly handshakeMs: number
  /**
   * What of clients' certificates, where the files name authorities for them: a connection without a good one is
   * refused (`required`), or is one of nobody in particular (`optional`).
   */
  readonly clientCertificates: 'required' | 'optional'
  readonly renewal?: RenewalOptions | undefined
}

export interface SecureServer extends AsyncDisposable {
  /** Not listening yet. */
  readonly server: Server
}

/**
 * HTTPS, with what its files say at any time. Disposing ends the look at the files; the server is the caller's.
 * @throws DomainError `invalid` for files that TLS cannot use.
 */
export async function createSecureServer(
  files: TlsFiles,
  { http, handshakeMs, clientCertificates, renewal }: SecureServerOptions,
): Promise<SecureServer> {
  // Before they are read: what changes in between is then seen as a change.
  const version = await versionOf(files)
  const wantsCertificate = files.clientCa !== undefined
  const server = createServer({
    ...http,
    ...(await readTlsFiles(files)),
    handshakeTimeout: handshakeMs,
    ALPNProtocols: ['http/1.1'],
    requestCert: wantsCertificate,
    rejectUnauthorized: wantsCertificate && clientCertificates === 'required',
  })
  const renewing = renewCertificates(server, files, version, renewal)
  return { server, [Symbol.asyncDispose]: () => renewing[Symbol.asyncDispose]() }
}
