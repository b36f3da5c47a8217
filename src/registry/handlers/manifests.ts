import { DomainError } from '../../errors.ts'
import { maxManifestBytes, type RequiredReferences } from '../../storage/manifest.ts'
import type {
  ManifestInfo,
  ManifestRecords,
  StoredManifest,
} from '../../storage/metadata/manifest-records.ts'
import type { TagRecords } from '../../storage/metadata/tag-records.ts'
import { parseReference, parseTag, type Reference, type Tag } from '../../storage/reference.ts'
import { readBounded } from '../bounded-body.ts'
import { etagOf, manifestConditionOf, matchesNone } from '../conditional.ts'
import type { Handler } from '../handler.ts'
import { manifestPath } from '../locations.ts'
import type { Headers, Reply } from '../reply.ts'
import { type RegistryRequest, repositoryOf } from '../request.ts'
import { requesterOf } from '../requester.ts'
import { storeManifest } from '../store-manifest.ts'

export interface ManifestHandlers {
  readonly get: Handler
  readonly head: Handler
  readonly put: Handler
  readonly delete: Handler
}

/** distribution-spec asks for ten at least. */
export const maxTagParameters = 100

/**
 * distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting Manifests". `Accept` is ignored on
 * purpose: the stored bytes are the only representation, and several clients send no `Accept` at all.
 */
export function createManifestHandlers(
  records: Omit<ManifestRecords, 'listReferrers'> & Pick<TagRecords, 'deleteTag'>,
  requireReferences: RequiredReferences,
): ManifestHandlers {
  return {
    get: async request => {
      const manifest = await records.getManifest(repositoryOf(request), wantedOf(request), {
        signal: request.signal,
      })
      return manifestReply(request, manifest)
    },

    head: async request => {
      const manifest = await records.statManifest(repositoryOf(request), wantedOf(request), {
        signal: request.signal,
      })
      return manifestHeadReply(request, manifest)
    },

    put: async request => {
      const repository = repositoryOf(request)
      const reference = parseReference(request.params['reference'] ?? '')
      const tags = tagsOf(request, reference)
      const bytes = await readBounded(request, maxManifestBytes, 'manifest')
      const { digest, subject } = await storeManifest(
        records,
        repository,
        {
          bytes,
          mediaType: request.headers['content-type'],
          digest: reference.kind === 'digest' ? reference.digest : undefined,
          tags,
        },
        {
          requireReferences,
          condition: manifestConditionOf(request.headers, reference),
          by: requesterOf(request),
          signal: request.signal,
        },
      )
      const headers: Record<string, string> = {
        Location: manifestPath(repository, digest),
        'Docker-Content-Digest': digest,
      }
      if (subject !== undefined) headers['OCI-Subject'] = subject
      if (reference.kind === 'digest' && tags.length > 0) headers['OCI-Tag'] = tags.join(', ')
      return { status: 201, headers }
    },

    delete: async request => {
      const repository = repositoryOf(request)
      const reference = wantedOf(request)
      const options = { by: requesterOf(request), signal: request.signal }
      if (reference.kind === 'tag') await records.deleteTag(repository, reference.tag, options)
      else await records.deleteManifest(repository, reference.digest, options)
      return { status: 202 }
    },
  }
}

/** Answers GET. */
export function manifestReply({ headers }: RegistryRequest, manifest: StoredManifest): Reply {
  if (matchesNone(headers['if-none-match'], manifest.digest)) return notModified(manifest)
  return {
    status: 200,
    headers: headersOf(manifest),
    content: { type: manifest.mediaType, bytes: manifest.bytes },
  }
}

/** Answers HEAD. */
export function manifestHeadReply({ headers }: RegistryRequest, manifest: ManifestInfo): Reply {
  if (matchesNone(headers['if-none-match'], manifest.digest)) return notModified(manifest)
  return {
    status: 200,
    headers: headersOf(manifest),
    content: { type: manifest.mediaType, length: manifest.size },
  }
}

/** What is to be found: a tag that cannot exist does not exist, and clients expect 404 for it rather than 400. */
export function wantedOf(request: RegistryRequest): Reference {
  const text = request.params['reference'] ?? ''
  if (text.includes(':')) return parseReference(text)
  try {
    return parseReference(text)
  } catch (cause) {
    throw new DomainError(
      'not_found',
      `${JSON.stringify(text.slice(0, 140))} is not a tag, so no manifest has it.`,
      { resource: 'manifest', name: text },
      { cause },
    )
  }
}

/**
 * The tag in the path, or those of the `tag` parameters, which count with a digest only
 * (distribution-spec, "Pushing Manifests", end-7b).
 */
function tagsOf({ query }: RegistryRequest, reference: Reference): Tag[] {
  if (reference.kind === 'tag') return [reference.tag]
  const tags = [...new Set(query.getAll('tag'))].map(parseTag)
  if (tags.length > maxTagParameters)
    throw new DomainError(
      'too_large',
      `${tags.length} tags are too many for one request; send at most ${maxTagParameters}.`,
      { resource: 'tag' },
    )
  return tags
}

function headersOf({ digest }: ManifestInfo): Headers {
  return { 'Docker-Content-Digest': digest, ETag: etagOf(digest) }
}

function notModified(manifest: ManifestInfo): Reply {
  return { status: 304, headers: headersOf(manifest) }
}
