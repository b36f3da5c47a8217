import type { Config } from '../../config.ts'
import { parseTrustPolicies, type TrustPolicies } from '../../registry/trust/policy.ts'
import { TenantPolicies } from '../../registry/trust/tenant-policies.ts'
import { TrustJudge } from '../../registry/trust/trust-judge.ts'
import { type TrustReport, trustReport } from '../../registry/trust/trust-report.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { digestOf } from '../../storage/digest.ts'
import type { OwnImage } from '../trust-command.ts'
import { createBlobMemory, createBlobs } from './service.ts'
import { openStores } from './stores.ts'

/** Where no policy says anything. */
const none: TrustPolicies = { digest: digestOf(Buffer.from('')), policies: [] }

/**
 * What the tenant's trust policies, or the one that is given, make of an image.
 * @throws DomainError `not_found`, `invalid`.
 */
export async function reportTrust(
  config: Config,
  { repository, reference }: OwnImage,
  policyText: string | undefined,
  options: Abortable,
): Promise<TrustReport> {
  const given = policyText === undefined ? undefined : parseTrustPolicies(policyText)
  await using stores = await openStores(config, { migrate: config.database.migrate, ...options })
  const { metadata } = stores
  const blobs = createBlobs(config, stores, createBlobMemory(config))
  const image = await metadata.getManifest(repository, reference, options)
  const policies = given ?? (await new TenantPolicies(metadata).of(repository, options)) ?? none
  return await trustReport(new TrustJudge({ records: metadata, blobs }), repository, image, policies, options)
}
