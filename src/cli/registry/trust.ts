import { TenantPolicies, type TenantSource } from '../../registry/trust/tenant-policies.ts'
import { TrustGate } from '../../registry/trust/trust-gate.ts'
import { TrustJudge, type TrustRecords } from '../../registry/trust/trust-judge.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'

/** What stands between images that are not trusted and those who would pull them. */
export function createTrustGate({
  metadata,
  blobs,
}: {
  readonly metadata: TrustRecords & TenantSource
  readonly blobs: BlobStore
}): TrustGate {
  return new TrustGate({
    policies: new TenantPolicies(metadata),
    judge: new TrustJudge({ records: metadata, blobs }),
    records: metadata,
  })
}
