import type { Config } from '../../config.ts'
import type { Metrics } from '../../metrics/metrics.ts'
import type { HandlerLayer } from '../../registry/handler.ts'
import { createLimits, shareOf } from '../../registry/limits/limits.ts'
import { QuotaBlobStore } from '../../registry/limits/quota-blob-store.ts'
import { putWithinQuota } from '../../registry/limits/quota-manifests.ts'
import { TenantQuotas } from '../../registry/limits/tenant-quotas.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'

/** This process's share of what each account and address may take. */
export function configuredLimits(
  { limits, registry }: Pick<Config, 'limits' | 'registry'>,
  metrics: Pick<Metrics, 'limited'>,
): HandlerLayer {
  return createLimits(shareOf(limits, registry.workers), { onLimited: limit => metrics.limited(limit) })
}

/** What clients push to, within the tenants' quotas. */
export interface PushedTo {
  readonly blobs: BlobStore
  readonly metadata: Metadata
}

/** @param metadata a plain object, as those that open a database give it. */
export function withinQuotas({ blobs, metadata }: PushedTo, metrics: Pick<Metrics, 'limited'>): PushedTo {
  const quotas = new TenantQuotas({ records: metadata, onLimited: limit => metrics.limited(limit) })
  return {
    blobs: new QuotaBlobStore(blobs, quotas),
    metadata: { ...metadata, putManifest: putWithinQuota(metadata, quotas) },
  }
}
