import { exec } from './process.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { join } from 'node:path'
import { readFile } from 'node:fs/promises'

/** For `localhost`: what a TLS server takes, and what a client has to trust (`cert`). */
export async function selfSigned(): Promise<{ readonly key: string; readonly cert: string }> {
  await using directory = await temporaryDirectory()
  const [key, cert] = ['key.pem', 'cert.pem'].map(name => join(directory.path, name)) as [string, string]
  await exec('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
  ])
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
}
