import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exec } from './process.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** PEM. */
export interface Pair {
  readonly key: string
  readonly cert: string
}

export interface CertificateRequest {
  /** As openssl has it: `/CN=alice`. */
  readonly subject: string
  readonly names?: readonly GeneralName[]
  readonly use?: 'clientAuth' | 'serverAuth'
}

/** One alternative name, byte for byte: what no tool would write, some authority may have signed. */
export interface GeneralName {
  readonly kind: keyof typeof tags
  /** An IP address as its bytes. */
  readonly value: string | Uint8Array
}

/** RFC 5280, 4.2.1.6: `rfc822Name [1]`, `dNSName [2]`, `uniformResourceIdentifier [6]`, `iPAddress [7]`. */
const tags = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 } as const

/** Signs what tests ask for, for TLS; each certificate has a key of its own. */
export class TestAuthority {
  readonly #pair: Pair

  private constructor(pair: Pair) {
    this.#pair = pair
  }

  static async create(): Promise<TestAuthority> {
    return new TestAuthority(
      await makeCertificate('/CN=Test Authority', ['basicConstraints=critical,CA:TRUE']),
    )
  }

  get cert(): string {
    return this.#pair.cert
  }

  async issue({ subject, names = [], use = 'clientAuth' }: CertificateRequest): Promise<Pair> {
    const extensions = ['basicConstraints=critical,CA:FALSE', `extendedKeyUsage=${use}`]
    if (names.length > 0) extensions.push(`subjectAltName=DER:${generalNames(names).toString('hex')}`)
    return await makeCertificate(subject, extensions, this.#pair)
  }
}

/** A TLS server's, for `localhost` and 127.0.0.1. */
export function serverRequest(): CertificateRequest {
  const names: readonly GeneralName[] = [
    { kind: 'dns', value: 'localhost' },
    { kind: 'ip', value: Buffer.from([127, 0, 0, 1]) },
  ]
  return { subject: '/CN=localhost', names, use: 'serverAuth' }
}

async function makeCertificate(subject: string, extensions: readonly string[], signer?: Pair): Promise<Pair> {
  await using directory = await temporaryDirectory()
  const path = (name: string): string => join(directory.path, name)
  const config = ['[req]', 'distinguished_name=dn', 'x509_extensions=ext', '[dn]', '[ext]', ...extensions, '']
  await writeFile(path('config'), config.join('\n'))
  const signing = signer === undefined ? [] : ['-CA', path('ca.pem'), '-CAkey', path('ca-key.pem')]
  if (signer !== undefined) {
    await writeFile(path('ca.pem'), signer.cert)
    await writeFile(path('ca-key.pem'), signer.key)
  }
  await exec('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-utf8', '-config', path('config'), '-subj', subject, '-keyout', path('key'), '-out', path('cert')],
    ...signing,
  ])
  return { key: await readFile(path('key'), 'utf8'), cert: await readFile(path('cert'), 'utf8') }
}

/** DER (X.690, 8.1): tag, length, content. */
function generalNames(names: readonly GeneralName[]): Buffer {
  return tagged(0x30, Buffer.concat(names.map(({ kind, value }) => tagged(tags[kind], Buffer.from(value)))))
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
