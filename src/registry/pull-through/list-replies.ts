import { DomainError } from '../../errors.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import type { Digest } from '../../storage/digest.ts'
import { mediaTypes } from '../../storage/media-types.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'
import { maxReferrersBytes } from '../handlers/referrers.ts'
import { listPage, parsePage } from '../paging.ts'
import { json, type Reply } from '../reply.ts'
import { digestParamOf, type RegistryRequest, repositoryOf } from '../request.ts'

/** Room for what surrounds the descriptors. */
const envelopeBytes = 256

/** distribution-spec, "Listing Tags", of a list that is known whole. @param tags in byte order. */
export async function tagsReply(request: RegistryRequest, tags: readonly Tag[]): Promise<Reply> {
  const repository = repositoryOf(request)
  const { names, headers } = await listPage(
    `/v2/${repository}/tags/list`,
    parsePage(request.query),
    ({ limit, after }) => {
      const first = after === undefined ? 0 : tags.findIndex(tag => tag > after)
      return Promise.resolve(first < 0 ? [] : tags.slice(first, first + limit))
    },
    { signal: request.signal },
  )
  return json(200, { name: repository, tags: names }, headers)
}

/**
 * distribution-spec, "Listing Referrers", of a list that is known whole.
 * @throws DomainError `invalid` for a position that no Link of ours had.
 */
export function referrersReply(request: RegistryRequest, referrers: readonly Descriptor[]): Reply {
  const repository = repositoryOf(request)
  const subject = digestParamOf(request)
  const types = request.query.getAll('artifactType').filter(type => type !== '')
  const wanted =
    types.length === 0 ? referrers : referrers.filter(({ artifactType = '' }) => types.includes(artifactType))
  const first = positionIn(request.query.get('last'))
  const shown: Descriptor[] = []
  let bytes = envelopeBytes
  for (const descriptor of wanted.slice(first)) {
    bytes += Buffer.byteLength(JSON.stringify(descriptor)) + 1
    // One is given even when it alone takes more.
    if (bytes > maxReferrersBytes && shown.length > 0) break
    shown.push(descriptor)
  }
  const next = first + shown.length
  return {
    status: 200,
    headers: {
      ...(types.length === 0 ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
      ...(next < wanted.length ? { Link: linkTo(repository, subject, types, next) } : {}),
    },
    content: {
      type: mediaTypes.ociIndex,
      bytes: Buffer.from(
        JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: shown }),
      ),
    },
  }
}

function linkTo(repository: RepositoryName, subject: Digest, types: readonly string[], next: number): string {
  const query = new URLSearchParams()
  for (const type of types) query.append('artifactType', type)
  query.set('last', `upstream.${next}`)
  return `</v2/${repository}/referrers/${subject}?${query.toString()}>; rel="next"`
}

function positionIn(text: string | null): number {
  if (text === null || text === '') return 0
  const [, position] = /^upstream\.(\d{1,9})$/.exec(text) ?? []
  if (position !== undefined) return Number(position)
  throw new DomainError(
    'invalid',
    `last=${text.slice(0, 160)} is no place in a list of referrers; follow the Link of the page before.`,
    { resource: 'request', name: 'last' },
  )
}
