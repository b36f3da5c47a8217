import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto'
import { dsse, json } from '@sigstore/core'
import { type Digest, hexOf } from '../../src/storage/digest.ts'
import {
  alternativeUri,
  basicConstraints,
  certificate,
  type CertificateParts,
  ecKeyPair,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  type KeyPair,
  octetString,
  pemOf,
  purposes,
  tbsCertificate,
  utf8String,
} from './x509.ts'

/** What Fulcio, its certificate log and Rekor do, in as far as signatures show it. */
export class SigstoreLab {
  readonly #root: KeyPair = ecKeyPair()
  readonly #rootName = [['O', 'lab']] as const
  readonly #rootCertificate: Buffer
  readonly #certificateLog: KeyPair = ecKeyPair()
  readonly #log: KeyPair = ecKeyPair()

  constructor() {
    this.#rootCertificate = certificate({
      subject: this.#rootName,
      key: this.#root.publicKey,
      issuer: { subject: this.#rootName, privateKey: this.#root.privateKey },
      notBefore: new Date(0),
      notAfter: new Date('2040-01-01'),
      extensions: [basicConstraints(true), keyUsage('keyCertSign', 'cRLSign')],
    })
  }

  /** sigstore/protobuf-specs, TrustedRoot. */
  trustedRoot(): Record<string, unknown> {
    return {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [logInstance('https://rekor.lab.example', this.#log.publicKey)],
      certificateAuthorities: [
        {
          subject: { organization: 'lab', commonName: 'lab' },
          uri: 'https://fulcio.lab.example',
          certChain: { certificates: [{ rawBytes: this.#rootCertificate.toString('base64') }] },
          validFor: { start: '1970-01-01T00:00:00Z' },
        },
      ],
      ctlogs: [logInstance('https://ctfe.lab.example', this.#certificateLog.publicKey)],
      timestampAuthorities: [],
    }
  }

  /** A certificate for ten minutes, long ago unless told otherwise. */
  certify({
    subject = 'https://ci.example/acme/app/release.yml@refs/tags/v1',
    issuer = 'https://ci.example',
    issuedAt = new Date('2026-01-01T00:00:00Z'),
    change = extensions => extensions,
    isLogged = true,
    root = this.#root,
  }: Certified = {}): Signer {
    const keys = ecKeyPair()
    const parts: CertificateParts = {
      subject: [],
      key: keys.publicKey,
      issuer: { subject: this.#rootName, privateKey: root.privateKey },
      notBefore: issuedAt,
      notAfter: new Date(issuedAt.getTime() + 600_000),
      serial: Buffer.concat([Buffer.from([1]), randomBytes(7)]),
      extensions: change([
        keyUsage('digitalSignature'),
        extendedKeyUsage(purposes.codeSigning),
        alternativeUri(subject),
        // Fulcio writes the issuer in its old and its new form.
        { oid: '1.3.6.1.4.1.57264.1.1', value: Buffer.from(issuer) },
        { oid: '1.3.6.1.4.1.57264.1.8', value: utf8String(issuer) },
      ]),
    }
    const extensions = [...(parts.extensions ?? [])]
    if (isLogged) extensions.push(this.#certificateTimestamp(parts, issuedAt))
    return { ...keys, certificate: certificate({ ...parts, extensions }), signedAt: issuedAt }
  }

  /** A promise and a proof that the log has the entry, as its only one. */
  entry(body: object, at: Date): LogEntry {
    const canonicalizedBody = Buffer.from(json.canonicalize(body))
    const logId = keyId(this.#log.publicKey)
    const integratedTime = Math.floor(at.getTime() / 1000) + 60
    const promised = json.canonicalize({
      body: canonicalizedBody.toString('base64'),
      integratedTime,
      logIndex: 0,
      logID: logId.toString('hex'),
    })
    const promise = sign('sha256', Buffer.from(promised), this.#log.privateKey)
    const rootHash = createHash('sha256')
      .update(Buffer.from([0]))
      .update(canonicalizedBody)
      .digest()
    const note = `rekor.lab.example\n1\n${rootHash.toString('base64')}\n`
    const noteSignature = sign('sha256', Buffer.from(note), this.#log.privateKey)
    const line = Buffer.concat([logId.subarray(0, 4), noteSignature]).toString('base64')
    return {
      canonicalizedBody: canonicalizedBody.toString('base64'),
      integratedTime,
      logId,
      promise: promise.toString('base64'),
      rootHash: rootHash.toString('base64'),
      checkpoint: `${note}\n\u2014 rekor.lab.example ${line}\n`,
    }
  }

  /** RFC 6962, 3.2 and 3.3: the log has seen the certificate before it was given out. */
  #certificateTimestamp(parts: CertificateParts, at: Date): Extension {
    const tbs = tbsCertificate(parts)
    const time = Buffer.alloc(8)
    time.writeBigUInt64BE(BigInt(at.getTime()))
    const length = Buffer.from([tbs.length >> 16, tbs.length >> 8, tbs.length])
    const issuer = keyId(this.#root.publicKey)
    const signed = Buffer.concat([
      Buffer.from([0, 0]),
      time,
      Buffer.from([0, 1]),
      issuer,
      length,
      tbs,
      Buffer.from([0, 0]),
    ])
    const signature = sign('sha256', signed, this.#certificateLog.privateKey)
    const sct = Buffer.concat([
      Buffer.from([0]),
      keyId(this.#certificateLog.publicKey),
      time,
      Buffer.from([0, 0, 4, 3]),
      lengthOf(signature),
      signature,
    ])
    const list = Buffer.concat([lengthOf(sct), sct])
    return { oid: '1.3.6.1.4.1.11129.2.4.2', value: octetString(Buffer.concat([lengthOf(list), list])) }
  }
}

export interface Certified {
  readonly subject?: string
  readonly issuer?: string
  readonly issuedAt?: Date
  readonly change?: (extensions: readonly Extension[]) => readonly Extension[]
  /** Whether the certificate log has seen it. */
  readonly isLogged?: boolean
  /** Another authority of the same name. */
  readonly root?: KeyPair
}

export interface Signer extends KeyPair {
  readonly certificate: Buffer
  readonly signedAt: Date
}

export interface LogEntry {
  readonly canonicalizedBody: string
  readonly integratedTime: number
  readonly logId: Buffer
  readonly promise: string
  readonly rootHash: string
  readonly checkpoint: string
}

/** cosign/specs/SIGNATURE_SPEC.md, "Simple Signing". */
export function simpleSigningPayload(image: Digest, type = 'cosign container image signature'): Buffer {
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': 'registry.example/acme/app' },
        image: { 'docker-manifest-digest': image },
        type,
      },
      optional: null,
    }),
  )
}

export function statement(image: Digest, predicateType = 'https://sigstore.dev/cosign/sign/v1'): Buffer {
  return Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ digest: { sha256: hexOf(image) } }],
      predicateType,
      predicate: {},
    }),
  )
}

/** Annotations of a keyless signature, as cosign 2 writes them. */
export function keylessAnnotations(
  lab: SigstoreLab,
  signer: Signer,
  payload: Uint8Array,
  {
    loggedAt = signer.signedAt,
    logged = pemOf(signer.certificate),
  }: { loggedAt?: Date; logged?: string } = {},
): Record<string, string> {
  const signature = sign('sha256', payload, signer.privateKey).toString('base64')
  const body = {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') } },
      signature: { content: signature, publicKey: { content: Buffer.from(logged).toString('base64') } },
    },
  }
  const entry = lab.entry(body, loggedAt)
  return {
    'dev.cosignproject.cosign/signature': signature,
    'dev.sigstore.cosign/certificate': pemOf(signer.certificate),
    'dev.sigstore.cosign/bundle': JSON.stringify({
      SignedEntryTimestamp: entry.promise,
      Payload: {
        body: entry.canonicalizedBody,
        integratedTime: entry.integratedTime,
        logIndex: 0,
        logID: entry.logId.toString('hex'),
      },
    }),
  }
}

/** A keyless signature as cosign 3 writes it: a bundle with a statement. */
export function keylessBundle(lab: SigstoreLab, signer: Signer, payload: Uint8Array): Bundle {
  const payloadType = 'application/vnd.in-toto+json'
  const encoded = dsse.preAuthEncoding(payloadType, Buffer.from(payload))
  const signature = sign('sha256', encoded, signer.privateKey).toString('base64')
  const body = {
    apiVersion: '0.0.1',
    kind: 'dsse',
    spec: {
      envelopeHash: { algorithm: 'sha256', value: '0'.repeat(64) },
      payloadHash: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') },
      signatures: [{ signature, verifier: Buffer.from(pemOf(signer.certificate)).toString('base64') }],
    },
  }
  const { logId, rootHash, checkpoint, ...entry } = lab.entry(body, signer.signedAt)
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: {
      certificate: { rawBytes: signer.certificate.toString('base64') },
      tlogEntries: [
        {
          logIndex: '0',
          logId: { keyId: logId.toString('base64') },
          kindVersion: { kind: 'dsse', version: '0.0.1' },
          integratedTime: String(entry.integratedTime),
          inclusionPromise: { signedEntryTimestamp: entry.promise },
          inclusionProof: {
            logIndex: '0',
            rootHash,
            treeSize: '1',
            hashes: [],
            checkpoint: { envelope: checkpoint },
          },
          canonicalizedBody: entry.canonicalizedBody,
        },
      ],
    },
    dsseEnvelope: {
      payload: Buffer.from(payload).toString('base64'),
      payloadType,
      signatures: [{ sig: signature, keyid: '' }],
    },
  }
}

export interface Bundle {
  readonly mediaType: string
  readonly verificationMaterial: {
    readonly certificate: { readonly rawBytes: string }
    readonly tlogEntries: readonly Record<string, unknown>[]
  }
  readonly dsseEnvelope: {
    readonly payload: string
    readonly payloadType: string
    readonly signatures: readonly { readonly sig: string; readonly keyid: string }[]
  }
}

function logInstance(baseUrl: string, key: KeyObject): object {
  return {
    baseUrl,
    hashAlgorithm: 'SHA2_256',
    publicKey: {
      rawBytes: key.export({ type: 'spki', format: 'der' }).toString('base64'),
      keyDetails: 'PKIX_ECDSA_P256_SHA_256',
      validFor: { start: '1970-01-01T00:00:00Z' },
    },
    logId: { keyId: keyId(key).toString('base64') },
  }
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}

function lengthOf(bytes: Uint8Array): Buffer {
  return Buffer.from([bytes.length >> 8, bytes.length & 0xff])
}
