import type { Abortable } from '../abortable.ts'
import type { TenantName } from '../accounts/names.ts'
import type { Digest } from '../digest.ts'

/**
 * CONTRACT. What a tenant uses of its quota, whether it has one or not, and whether it is known or not: then a quota that
 * is set later counts at once. A push only adds a row of its own with what it changes, in its own transaction; a sweep
 * folds the rows into one number: so pushes never wait for each other at a counter. `test/contract/usage.ts`.
 */
export interface UsageRecords {
  /** With what has not been folded yet. Zero for a tenant that has nothing. */
  getUsage(tenant: TenantName, options?: Abortable): Promise<Usage>
  /** Folds what pushes have added, up to `limit` rows. Answers how many there were. For one process at a time. */
  foldUsage(limit: number, options?: Abortable): Promise<number>
  /** Counts anew from what is stored, so that no mistake lasts. Reads everything that the tenant has. */
  recountUsage(tenant: TenantName, options?: Abortable): Promise<Usage>
  /** Whether one of the tenant's repositories links the blob: then another one costs nothing. */
  tenantHasBlob(tenant: TenantName, digest: Digest, options?: Abortable): Promise<boolean>
  /** Of its blobs that are quarantined: they count as used, and whoever brings them back sends them anew. */
  damagedBytesOf(tenant: TenantName, options?: Abortable): Promise<number>
}

export interface Usage {
  /**
   * Of all blobs that the tenant's repositories link, each counted once, and of their manifests, which each repository
   * stores for itself.
   */
  readonly bytes: number
  /** Bytes of upload sessions that have not become a blob yet. */
  readonly uploadingBytes: number
  readonly repositories: number
}
