import { DomainError } from '../../errors.ts'
import { parseManifest } from '../manifest.ts'
import { manifestKindOf } from '../media-types.ts'
import type { ManifestInfo } from '../metadata/manifest-records.ts'
import type { Platform } from '../platform.ts'
import { childFor, noSuchPlatform } from './chosen-children.ts'
import { copyLimits } from './copy-limits.ts'
import type { CopyScope } from './copy-scope.ts'
import { readManifest } from './read-manifest.ts'

/**
 * The manifest for one platform in the place of an index; what is no index stays as it is.
 * @throws DomainError `invalid` unless there is one platform, `not_found` where the index does not have it.
 */
export async function findSingle(
  scope: CopyScope,
  found: ManifestInfo,
  only: readonly Platform[],
): Promise<ManifestInfo> {
  const [platform] = only
  if (platform === undefined || only.length > 1)
    throw new DomainError(
      'invalid',
      'The mode single takes one platform; give one, or take the mode sparse for several.',
      { resource: 'platform' },
    )
  let wanted = found
  for (let depth = 0; manifestKindOf(wanted.mediaType) === 'index'; depth += 1) {
    if (depth > copyLimits.indexDepth)
      throw scope.tooLarge(`its indexes are nested more than ${copyLimits.indexDepth} deep`)
    scope.countManifest()
    const { bytes, mediaType } = await readManifest(scope.source, wanted, scope)
    const index = parseManifest(bytes, mediaType)
    if (index.kind !== 'index') break
    const child = childFor(index, platform)
    if (child === undefined) throw noSuchPlatform(scope.source.label, index, only)
    const { digest, size } = child
    wanted = await scope.source.stat({ kind: 'digest', digest }, scope)
    if (wanted.size !== size) wanted = await readManifest(scope.source, { digest, size }, scope)
  }
  return wanted
}
