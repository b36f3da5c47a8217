import { DomainError } from '../../errors.ts'
import { type Digest, parseDigest } from '../../storage/digest.ts'
import { mediaTypes } from '../../storage/media-types.ts'
import type { ManifestRecords, ReferrerPosition } from '../../storage/metadata/manifest-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { Handler } from '../handler.ts'
import { digestParamOf, repositoryOf } from '../request.ts'

/** Clients read an answer as they read a manifest, so it stays below the 4 MiB that each must be able to read. */
export const maxReferrersBytes = 4 * 1024 * 1024

/** Room for what surrounds the descriptors. */
const envelopeBytes = 256

/**
 * distribution-spec, "Listing Referrers". A repository or subject that does not exist has none: once there is
 * this endpoint, the spec forbids 404. Several `artifactType` parameters mean any of them.
 */
export function createReferrersHandler(records: Pick<ManifestRecords, 'listReferrers'>): Handler {
  return async request => {
    const repository = repositoryOf(request)
    const subject = digestParamOf(request)
    const artifactTypes = request.query.getAll('artifactType').filter(type => type !== '')
    const { referrers, next } = await records.listReferrers(
      repository,
      subject,
      {
        artifactTypes,
        maxBytes: maxReferrersBytes - envelopeBytes,
        after: parsePosition(request.query.get('last')),
      },
      { signal: request.signal },
    )
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: referrers }
    const headers: Record<string, string> = {}
    if (artifactTypes.length > 0) headers['OCI-Filters-Applied'] = 'artifactType'
    if (next !== undefined) headers['Link'] = linkTo(repository, subject, artifactTypes, next)
    return {
      status: 200,
      headers,
      content: { type: mediaTypes.ociIndex, bytes: Buffer.from(JSON.stringify(index)) },
    }
  }
}

function linkTo(
  repository: RepositoryName,
  subject: Digest,
  artifactTypes: readonly string[],
  { pushedAt, digest }: ReferrerPosition,
): string {
  const query = new URLSearchParams()
  for (const type of artifactTypes) query.append('artifactType', type)
  query.set('last', `${pushedAt}.${digest}`)
  return `</v2/${repository}/referrers/${subject}?${query.toString()}>; rel="next"`
}

/** What {@link linkTo} has written. @throws DomainError `invalid`. */
function parsePosition(text: string | null): ReferrerPosition | undefined {
  if (text === null || text === '') return undefined
  const [, pushedAt, digest] = /^(\d{1,15})\.(.+)$/.exec(text) ?? []
  if (pushedAt !== undefined && digest !== undefined)
    return { pushedAt: Number(pushedAt), digest: parseDigest(digest) }
  throw new DomainError(
    'invalid',
    `last=${text.slice(0, 160)} is no place in a list of referrers; follow the Link of the page before.`,
    { resource: 'request', name: 'last' },
  )
}
