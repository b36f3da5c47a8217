import { constants, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls'
import { DomainError, errnoOf, isDomainError } from '../errors.ts'
import { refuseOpenToOthers } from './secret-mode.ts'

/** Paths of PEM files, and what is spoken with them. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  /** Of the only authorities whose certificates are taken from clients. */
  readonly clientCa?: string | undefined
  /** The oldest version; TLSv1.2 unless given. */
  readonly minVersion?: SecureVersion | undefined
}

/** Seconds for which a session may be resumed without another look at the client's certificate. */
const sessionTimeout = 300

/**
 * What a TLS server needs, out of its files.
 * @throws DomainError `invalid` that names the file that cannot be read, is open to others, or does not fit.
 */
export async function readTlsFiles({
  certificate,
  key,
  clientCa,
  minVersion = 'TLSv1.2',
}: TlsFiles): Promise<SecureContextOptions> {
  refuseOpenToOthers(key, (await statOf(key)).mode)
  const options: SecureContextOptions = {
    cert: await contentOf(certificate),
    key: await contentOf(key),
    minVersion,
    honorCipherOrder: true,
    // No client has a use for it, and each one costs us a handshake.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionTimeout,
    ...(clientCa === undefined ? {} : { ca: await authoritiesOf(clientCa) }),
  }
  try {
    // Says what is wrong before it is served; half of a renewal that is being written does not fit the other half.
    createSecureContext(options)
  } catch (cause) {
    throw unusable(certificate, `it does not work with the key in ${key}`, cause)
  }
  return options
}

/** Another text as soon as one of the files has changed. */
export async function versionOf({ certificate, key, clientCa }: TlsFiles): Promise<string> {
  const files = [certificate, key, ...(clientCa === undefined ? [] : [clientCa])]
  const stats = await Promise.all(files.map(statOf))
  return stats.map(({ ino, size, mtimeMs, ctimeMs }) => [ino, size, mtimeMs, ctimeMs].join(' ')).join('\n')
}

/** Node takes a file without any certificate for a list of no authorities, and says nothing. */
async function authoritiesOf(path: string): Promise<Buffer> {
  const content = await contentOf(path)
  try {
    void new X509Certificate(content)
  } catch (cause) {
    throw unusable(path, 'it does not begin with a certificate', cause)
  }
  return content
}

async function statOf(path: string) {
  return await stat(path).catch((error: unknown) => {
    throw unusable(path, `it cannot be read (${errnoOf(error) ?? 'unknown'})`, error)
  })
}

async function contentOf(path: string): Promise<Buffer> {
  return await readFile(path).catch((error: unknown) => {
    throw unusable(path, `it cannot be read (${errnoOf(error) ?? 'unknown'})`, error)
  })
}

function unusable(path: string, why: string, cause: unknown): DomainError {
  if (isDomainError(cause)) return cause
  return new DomainError(
    'invalid',
    `The file ${path} cannot be used for TLS: ${why}.`,
    { resource: 'config', name: path },
    { cause },
  )
}
