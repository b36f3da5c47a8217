import type { Requirement } from './policy.ts'
import { readSigstore } from './read-bundle.ts'
import type { Signature, SignedImage } from './signature.ts'
import { Untrusted } from './untrusted.ts'
import { verifyNotation } from './verify-notation.ts'
import { verifyByKeys, verifyKeyless } from './verify-sigstore.ts'

export interface Finding {
  readonly isTrusted: boolean
  /** A clause that has the signature as its subject. */
  readonly says: string
  /** From when on it may be another; undefined: it never is. */
  readonly until?: Date | undefined
}

/** Whether the signature is what one of the requirements asks for. */
export async function verifySignature(
  signature: Signature,
  image: SignedImage,
  requirements: readonly Requirement[],
  now: Date,
): Promise<Finding> {
  const findings: Finding[] = []
  for (const requirement of requirements) {
    const finding = await meets(signature, image, requirement, now)
    if (finding === undefined) continue
    if (finding.isTrusted) return finding
    findings.push(finding)
  }
  // The last reason is as good as any, and the policies of most have one requirement of a kind.
  return findings.at(-1) ?? { isTrusted: false, says: 'is of a kind that the policy does not ask for' }
}

/** Undefined when the requirement is about signatures of another kind. */
async function meets(
  { content }: Signature,
  image: SignedImage,
  requirement: Requirement,
  now: Date,
): Promise<Finding | undefined> {
  try {
    if (content.kind === 'unreadable') return { isTrusted: false, says: content.reason }
    if (content.kind === 'jws') {
      if (requirement.kind !== 'notation') return undefined
      return { isTrusted: true, ...(await verifyNotation(content.bytes, image, requirement, now)) }
    }
    if (requirement.kind === 'notation') return undefined
    const signature = readSigstore(content, image)
    const says =
      requirement.kind === 'keys'
        ? verifyByKeys(signature, requirement)
        : verifyKeyless(signature, requirement)
    return { isTrusted: true, says }
  } catch (error) {
    if (error instanceof Untrusted) return { isTrusted: false, says: error.message }
    throw error
  }
}
