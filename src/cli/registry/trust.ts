import { TenantPolicies, type TenantSource } from '../../registry/trust/tenant-policies.ts'
import { TrustGate } from '../../registry/trust/trust-gate.ts'
import type { TrustJudge, TrustRecords } from '../../registry/trust/trust-judge.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'

/** Where signatures are looked for. */
export interface TrustSources {
  readonly records: TrustRecords
  readonly blobs: BlobStore
}

/** What stands between images that are not trusted and those who would pull them. */
export function createTrustGate({
  metadata,
  blobs,
  signatures: sources = { records: metadata, blobs },
}: {
  readonly metadata: TrustRecords & TenantSource
  readonly blobs: BlobStore
  /** Our own stores unless given. */
  readonly signatures?: TrustSources | undefined
}): TrustGate {
  let loaded: Promise<TrustJudge> | undefined
  // Most registries have no policy, and the libraries that verify signatures are large.
  const load = async (): Promise<TrustJudge> => {
    const { TrustJudge } = await import('../../registry/trust/trust-judge.ts')
    return new TrustJudge(sources)
  }
  return new TrustGate({
    policies: new TenantPolicies(metadata),
    judge: {
      judge: async (...asked) => {
        loaded ??= load()
        return await (await loaded).judge(...asked)
      },
    },
    records: sources.records,
  })
}
