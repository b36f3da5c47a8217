import { readFile, stat } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { DomainError, errnoOf, isDomainError } from '../../../errors.ts'
import { refuseOpenToOthers } from './secret-mode.ts'

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  /** Of the authorities whose certificates clients must have. */
  readonly clientCa?: string | undefined
}

/**
 * What a TLS server needs, out of its files.
 * @throws DomainError `invalid` that names the file that cannot be read, is open to others, or does not fit.
 */
export async function readTlsFiles({ certificate, key, clientCa }: TlsFiles): Promise<SecureContextOptions> {
  refuseOpenToOthers(key, (await statOf(key)).mode)
  const options: SecureContextOptions = {
    cert: await contentOf(certificate),
    key: await contentOf(key),
    minVersion: 'TLSv1.2',
    ...(clientCa === undefined ? {} : { ca: await contentOf(clientCa) }),
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
