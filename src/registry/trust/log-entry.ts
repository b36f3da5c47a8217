import { createPublicKey, X509Certificate } from 'node:crypto'
import type { TransparencyLogEntry } from '@sigstore/bundle'
import * as z from 'zod'
import { Untrusted } from './untrusted.ts'

/**
 * Whether a log's entry names the signer as the signature does, which the library does not ask. For most signatures
 * another key can be made up that they fit as well; under that one a log would keep them where nobody who watches for
 * the true signer finds them.
 * @param signer the certificate, or the SubjectPublicKeyInfo of the key, in DER.
 * @throws Untrusted.
 */
export function assertNamesSigner({ canonicalizedBody }: TransparencyLogEntry, signer: Uint8Array): void {
  let named: Uint8Array
  try {
    named = body.parse(JSON.parse(canonicalizedBody.toString('utf8'))).spec
  } catch {
    throw new Untrusted('has an entry of a log that cannot be read')
  }
  if (!Buffer.from(signer).equals(named))
    throw new Untrusted('has an entry of a log that is about another signer')
}

/** PEM of a certificate or a public key, in Base64. */
const armored = z.string().transform((base64): Uint8Array => {
  const text = Buffer.from(base64, 'base64').toString()
  if (text.includes('-----BEGIN CERTIFICATE-----')) return new X509Certificate(text).raw
  return createPublicKey(text).export({ type: 'spki', format: 'der' })
})

/** Of Rekor 2: sigstore/rekor-tiles, Verifier. */
const der = z
  .looseObject({ rawBytes: z.base64() })
  .transform((one): Uint8Array => Buffer.from(one.rawBytes, 'base64'))
const verifier = z.union([
  z.looseObject({ x509Certificate: der }).transform(one => one.x509Certificate),
  z.looseObject({ publicKey: der }).transform(one => one.publicKey),
])

const inHashedRekord = z
  .looseObject({ signature: z.looseObject({ publicKey: z.looseObject({ content: armored }) }) })
  .transform(spec => spec.signature.publicKey.content)
const inDsse = z
  .looseObject({ signatures: z.tuple([z.looseObject({ verifier: armored })]) })
  .transform(spec => spec.signatures[0].verifier)
const inIntoto = z
  .looseObject({
    content: z.looseObject({
      envelope: z.looseObject({ signatures: z.tuple([z.looseObject({ publicKey: armored })]) }),
    }),
  })
  .transform(spec => spec.content.envelope.signatures[0].publicKey)
const inHashedRekord2 = z
  .looseObject({ hashedRekordV002: z.looseObject({ signature: z.looseObject({ verifier }) }) })
  .transform(spec => spec.hashedRekordV002.signature.verifier)
const inDsse2 = z
  .looseObject({ dsseV002: z.looseObject({ signatures: z.tuple([z.looseObject({ verifier })]) }) })
  .transform(spec => spec.dsseV002.signatures[0].verifier)

/** sigstore/rekor, pkg/types: hashedrekord and dsse 0.0.1, intoto 0.0.2; and those of Rekor 2. */
const body = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('hashedrekord'), spec: z.union([inHashedRekord, inHashedRekord2]) }),
  z.looseObject({ kind: z.literal('dsse'), spec: z.union([inDsse, inDsse2]) }),
  z.looseObject({ kind: z.literal('intoto'), spec: inIntoto }),
])
