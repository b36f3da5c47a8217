import type { Digest } from '../../storage/digest.ts'
import type { ManifestInfo } from '../../storage/metadata/manifest-records.ts'

/** What is signed. */
export interface SignedImage extends ManifestInfo {
  /** Of the manifest. */
  readonly bytes: Uint8Array
}

/** How signatures are kept, and so where they are found. */
export type SignatureForm = 'cosign' | 'sigstore-bundle' | 'notation'

/** A manifest that holds signatures. */
export interface SignatureSource {
  readonly form: SignatureForm
  readonly digest: Digest
}

/** Nothing of it has been verified. */
export interface Signature {
  readonly source: SignatureSource
  readonly content: SignatureContent
}

export type SignatureContent =
  /** cosign/specs/SIGNATURE_SPEC.md: the blob, and the annotations of its descriptor. */
  | {
      readonly kind: 'simple-signing'
      readonly payload: Uint8Array
      readonly annotations: Readonly<Record<string, string>>
    }
  /** sigstore/protobuf-specs, Bundle, in JSON. */
  | { readonly kind: 'bundle'; readonly bytes: Uint8Array }
  /** notaryproject/specifications, "JWS Signature Envelope". */
  | { readonly kind: 'jws'; readonly bytes: Uint8Array }
  /** `reason` is a clause that has the signature as its subject. */
  | { readonly kind: 'unreadable'; readonly reason: string }

/** What became of a signature. */
export interface Verdict {
  readonly source: SignatureSource
  readonly isTrusted: boolean
  /** A clause that has the signature as its subject, such as `is by a key that the policy does not name`. */
  readonly says: string
}
