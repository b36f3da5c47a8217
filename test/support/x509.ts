import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** X.509 certificates (RFC 5280) with whatever a test wants in them, right or wrong. */

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export function ecKeyPair(namedCurve = 'P-256'): KeyPair {
  return generateKeyPairSync('ec', { namedCurve })
}

export interface CertificateParts {
  readonly subject: Name
  readonly key: KeyObject
  readonly issuer: { readonly subject: Name; readonly privateKey: KeyObject }
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly extensions?: readonly Extension[]
  readonly serial?: Uint8Array
}

/** Pairs such as `['CN', 'signer']`, in their order; those of one list are one part of the name (RFC 5280, 4.1.2.4). */
export type Name = readonly (Attribute | readonly Attribute[])[]

export type Attribute = readonly [type: string, value: string]

export interface Extension {
  readonly oid: string
  readonly critical?: boolean
  /** DER. */
  readonly value: Uint8Array
}

/** In DER. Signed with ECDSA and SHA-256. */
export function certificate(parts: CertificateParts): Buffer {
  const tbs = tbsCertificate(parts)
  const signature = sign('sha256', tbs, parts.issuer.privateKey)
  return sequence(tbs, ecdsaWithSha256, bitString(signature))
}

/** What of it is signed. */
export function tbsCertificate({
  subject,
  key,
  issuer,
  notBefore = new Date(Date.now() - 3_600_000),
  notAfter = new Date(Date.now() + 86_400_000),
  extensions = [],
  serial = randomBytes(8),
}: CertificateParts): Buffer {
  return sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    nameOf(issuer.subject),
    sequence(generalizedTime(notBefore), generalizedTime(notAfter)),
    nameOf(subject),
    key.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [tagged(0xa3, sequence(...extensions.map(encodeExtension)))]),
  )
}

export function pemOf(der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`
}

export function basicConstraints(isCA: boolean, pathLength?: number): Extension {
  const fields = isCA ? [tagged(0x01, Buffer.from([0xff]))] : []
  if (pathLength !== undefined) fields.push(integer(Buffer.from([pathLength])))
  return { oid: '2.5.29.19', critical: true, value: sequence(...fields) }
}

export type KeyUsage = 'digitalSignature' | 'keyCertSign' | 'cRLSign'

export function keyUsage(...usages: readonly KeyUsage[]): Extension {
  const bits = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 }
  const byte = usages.reduce((sum, usage) => sum | bits[usage], 0)
  return { oid: '2.5.29.15', critical: true, value: tagged(0x03, Buffer.from([0, byte])) }
}

export const purposes = {
  codeSigning: '1.3.6.1.5.5.7.3.3',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
}

export function extendedKeyUsage(...oids: readonly string[]): Extension {
  return { oid: '2.5.29.37', value: sequence(...oids.map(objectIdentifier)) }
}

/** A URI as the only alternative name. */
export function alternativeUri(uri: string): Extension {
  return { oid: '2.5.29.17', critical: true, value: sequence(tagged(0x86, Buffer.from(uri))) }
}

export function utf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text))
}

export function octetString(bytes: Uint8Array): Buffer {
  return tagged(0x04, bytes)
}

function encodeExtension({ oid, critical = false, value }: Extension): Buffer {
  const flag = critical ? [tagged(0x01, Buffer.from([0xff]))] : []
  return sequence(objectIdentifier(oid), ...flag, octetString(value))
}

const attributeTypes: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  C: '2.5.4.6',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
}

function nameOf(name: Name): Buffer {
  return sequence(
    ...name.map(part => {
      const attributes = isAttribute(part) ? [part] : part
      // A set is in the order of its bytes: X.690, 11.6.
      return tagged(
        0x31,
        Buffer.concat(attributes.map(encodeAttribute).sort((one, other) => one.compare(other))),
      )
    }),
  )
}

function isAttribute(part: Name[number]): part is Attribute {
  return typeof part[0] === 'string'
}

function encodeAttribute([type, value]: Attribute): Buffer {
  return sequence(objectIdentifier(attributeTypes[type] ?? ''), utf8String(value))
}

function generalizedTime(date: Date): Buffer {
  const text = date.toISOString().replace(/\.\d+/, '').replace(/[-:T]/g, '')
  // Until 2049 the shorter form is prescribed: RFC 5280, 4.1.2.5.
  return date.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(text.slice(2)))
    : tagged(0x18, Buffer.from(text))
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function bitString(bytes: Uint8Array): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]))
}

/** Of a number that is not negative. */
function integer(bytes: Uint8Array): Buffer {
  const first = bytes[0] ?? 0
  return tagged(0x02, first >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
}

function objectIdentifier(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap(arc => {
    const digits = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80)
    return digits
  })
  return tagged(0x06, Buffer.from(bytes))
}

export function tagged(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const size =
    length < 0x100 ? [length] : length < 0x10000 ? [length >> 8, length] : [length >> 16, length >> 8, length]
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length, ...size.map(byte => byte & 0xff)]), content])
}

const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))
