import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { policiesFor } from './policies-for.ts'
import type { TrustPolicies, TrustPolicy } from './policy.ts'
import type { SignatureForm, SignedImage } from './signature.ts'
import type { TrustJudge } from './trust-judge.ts'

/** What trust policies make of one image, for people and programs. */
export interface TrustReport {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** To those to whom the policies apply. */
  readonly isAllowed: boolean
  readonly policies: readonly PolicyReport[]
}

export interface PolicyReport extends Pick<TrustPolicy, 'name' | 'mode' | 'appliesTo'> {
  readonly isTrusted: boolean
  /** A clause that gives the reason. */
  readonly says: string
  readonly signatures: readonly SignatureReport[]
}

export interface SignatureReport {
  readonly form: SignatureForm
  /** Of the manifest that holds it. */
  readonly digest: Digest
  readonly isTrusted: boolean
  /** A clause that has the signature as its subject. */
  readonly says: string
}

export async function trustReport(
  judge: TrustJudge,
  repository: RepositoryName,
  image: SignedImage,
  policies: TrustPolicies,
  options?: Abortable,
): Promise<TrustReport> {
  const reports: PolicyReport[] = []
  for (const policy of policiesFor(policies, repository)) {
    const { isTrusted, says, verdicts } = await judge.judge(repository, image, policies, policy, options)
    const { name, mode, appliesTo } = policy
    const signatures = verdicts.map(({ source, ...verdict }) => ({ ...source, ...verdict }))
    reports.push({ name, mode, appliesTo, isTrusted, says, signatures })
  }
  const isAllowed = reports.every(({ isTrusted, mode }) => isTrusted || mode === 'warn')
  return { repository, digest: image.digest, isAllowed, policies: reports }
}
