import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import type { ManifestRecords } from '../../storage/metadata/manifest-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { TenantQuotas } from './tenant-quotas.ts'

type PutManifest = ManifestRecords['putManifest']

/**
 * `putManifest` for tenants that have quotas: a manifest costs its bytes, unless the repository has it already, and may
 * make the repository. @throws DomainError `denied`, resource `quota`, beside what `putManifest` throws.
 */
export function putWithinQuota(
  records: Pick<ManifestRecords, 'putManifest' | 'statManifest'>,
  quotas: TenantQuotas,
): PutManifest {
  return async (repository, manifest, options) => {
    options?.signal?.throwIfAborted()
    const aborts = { signal: options?.signal }
    const quota = await quotas.of(repository, aborts)
    if (quota === undefined) return records.putManifest(repository, manifest, options)
    await quota.assertRepository(repository, aborts)
    const isFree = await hasManifest(repository, manifest.digest, aborts)
    if (!isFree) await quota.assertRoom(manifest.size, aborts)
    await records.putManifest(repository, manifest, options)
    if (!isFree) quota.stored(manifest.size)
  }

  async function hasManifest(
    repository: RepositoryName,
    digest: Digest,
    aborts: Abortable,
  ): Promise<boolean> {
    try {
      await records.statManifest(repository, { kind: 'digest', digest }, aborts)
      return true
    } catch (error) {
      if (isDomainError(error, 'not_found')) return false
      throw error
    }
  }
}
