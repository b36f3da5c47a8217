import type { KeyObject } from 'node:crypto'
import {
  basicConstraints,
  certificate,
  ecKeyPair,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  type KeyPair,
  type Name,
  pemOf,
  purposes,
  sequence,
  tagged,
} from './x509.ts'

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

/** A subject alternative name (RFC 5280, 4.2.1.6), with any characters; of `ip`, an address of version 4. */
export interface GeneralName {
  readonly kind: 'dns' | 'email' | 'uri' | 'ip'
  readonly value: string
}

export interface CertificateRequest {
  /** As openssl writes it: `/O=Example/CN=alice`; `+` joins attributes, a backslash takes the next character as it is. */
  readonly subject: string
  readonly names?: readonly GeneralName[]
  /** For clients unless given. */
  readonly use?: 'serverAuth' | 'clientAuth'
  /** From an hour ago, for a day, unless given. */
  readonly validity?: { readonly notBefore: Date; readonly notAfter: Date }
}

/** For a server that is called `localhost`. */
export function serverRequest(): CertificateRequest {
  return { subject: '/CN=localhost', names: [{ kind: 'dns', value: 'localhost' }], use: 'serverAuth' }
}

/** Gives out certificates for a day. */
export class TestAuthority {
  /** Its own, in PEM. */
  readonly cert: string
  readonly #keys: KeyPair
  readonly #name: Name

  static async create(): Promise<TestAuthority> {
    const keys = ecKeyPair()
    const name = [['CN', 'Test authority']] as const
    const extensions = [basicConstraints(true), keyUsage('keyCertSign', 'cRLSign')]
    const issuer = { subject: name, privateKey: keys.privateKey }
    return new TestAuthority(
      pemOf(certificate({ subject: name, key: keys.publicKey, issuer, extensions })),
      keys,
      name,
    )
  }

  private constructor(cert: string, keys: KeyPair, name: Name) {
    this.cert = cert
    this.#keys = keys
    this.#name = name
  }

  async issue({ subject, names = [], use = 'clientAuth', validity }: CertificateRequest): Promise<Pair> {
    const { publicKey, privateKey } = ecKeyPair()
    const extensions: Extension[] = [keyUsage('digitalSignature'), extendedKeyUsage(purposes[use])]
    if (names.length > 0) extensions.push(alternativeNames(names))
    const issuer = { subject: this.#name, privateKey: this.#keys.privateKey }
    const parts = { subject: parseSubject(subject), key: publicKey, issuer, extensions, ...validity }
    return {
      cert: pemOf(certificate(parts)),
      key: pemOfKey(privateKey),
    }
  }
}

function pemOfKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

const tags = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 } as const

function alternativeNames(names: readonly GeneralName[]): Extension {
  const value = sequence(
    ...names.map(({ kind, value }) =>
      tagged(tags[kind], kind === 'ip' ? Buffer.from(value.split('.').map(Number)) : Buffer.from(value)),
    ),
  )
  return { oid: '2.5.29.17', value }
}

function parseSubject(text: string): Name {
  return text
    .split(/(?<!\\)\//)
    .slice(1)
    .map(part => {
      const attributes = part.split(/(?<!\\)\+/).map((pair): [string, string] => {
        const equals = pair.indexOf('=')
        return [pair.slice(0, equals), pair.slice(equals + 1).replace(/\\(.)/g, '$1')]
      })
      return attributes.length === 1 ? (attributes[0] ?? ['', '']) : attributes
    })
}
