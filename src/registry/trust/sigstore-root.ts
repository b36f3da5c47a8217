import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toTrustMaterial, type TrustMaterial } from '@sigstore/verify'
import * as z from 'zod'
import { DomainError } from '../../errors.ts'

/** Whom Sigstore's signatures lead to, without asking anybody: certificate authorities, logs, clocks. */
export interface SigstoreRoot {
  readonly material: TrustMaterial
  /** How many of each a signature needs: one of each kind that the root names. */
  readonly thresholds: { readonly tlogThreshold: number; readonly ctlogThreshold: number }
}

/** More make every check slower, and no deployment has as many. */
const maxEntries = 32
const maxChain = 8

const authorities = z
  .array(
    z.looseObject({
      certChain: z.looseObject({ certificates: z.array(z.looseObject({})).min(1).max(maxChain) }),
    }),
  )
  .max(maxEntries)
  .default([])
const logs = z.array(z.looseObject({})).max(maxEntries).default([])

/** Only what bounds it; the library reads it. */
const bounds = z.looseObject({
  certificateAuthorities: authorities,
  timestampAuthorities: authorities,
  tlogs: logs,
  ctlogs: logs,
})

/**
 * A `trusted_root.json` (sigstore/protobuf-specs, TrustedRoot), which `cosign trusted-root create` makes.
 * @param use whether certificates have to lead to it, or only entries of its logs count.
 * @throws DomainError `invalid`.
 */
export function parseSigstoreRoot(value: unknown, use: 'certificates' | 'logs'): SigstoreRoot {
  const bounded = bounds.safeParse(value)
  if (!bounded.success) {
    const [issue] = bounded.error.issues
    throw invalidRoot(`${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'invalid'}`)
  }
  const material = readMaterial(bounded.data)
  const { certificateAuthorities, timestampAuthorities, tlogs, ctlogs } = material
  if (use === 'logs' && tlogs.length === 0) throw invalidRoot('it names no log in tlogs')
  if (use === 'certificates' && certificateAuthorities.length === 0)
    throw invalidRoot('it names none in certificateAuthorities')
  if (use === 'certificates' && tlogs.length + timestampAuthorities.length === 0)
    throw invalidRoot('without tlogs or timestampAuthorities nobody can tell when something was signed')
  return {
    material,
    thresholds: { tlogThreshold: Math.min(1, tlogs.length), ctlogThreshold: Math.min(1, ctlogs.length) },
  }
}

function readMaterial(value: unknown): TrustMaterial {
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(value))
  } catch (cause) {
    // Its parsers throw whatever they stumble over, a TypeError for an absent field among them.
    throw invalidRoot('its keys or certificates cannot be read', cause)
  }
}

function invalidRoot(why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The trustedRoot of the trust policy is not valid: ${why}; use a trusted_root.json of Sigstore.`,
    { resource: 'rule', name: 'trustedRoot' },
    { cause },
  )
}
