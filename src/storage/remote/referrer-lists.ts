import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { type Descriptor, descriptorSchema } from '../descriptor.ts'
import type { Digest } from '../digest.ts'
import { maxManifestBytes } from '../manifest.ts'
import { mediaTypes, stripParameters } from '../media-types.ts'
import { referrersTagOf } from '../referrers-tag.ts'
import { pullAccess } from './access.ts'
import type { Ask } from './ask.ts'
import type { AskedRepository } from './blob-reads.ts'
import { jsonObjectIn } from './json-object.ts'
import { getManifest } from './manifest-reads.ts'
import { pagesOf } from './paging.ts'

const limits = { pages: 1000, bytes: maxManifestBytes }
/** Of one subject. Whoever reads them may keep them all. */
const maxReferrers = 100_000

/** What a registry answers that does not have the API, or not this repository. */
const absent: ReadonlySet<number> = new Set([400, 404, 405, 406])

/**
 * Those that name `subject`, by the API or by the tag in its place; each once. What is no descriptor is left out.
 * @throws DomainError as the client does.
 */
export async function* remoteReferrers(
  asked: AskedRepository,
  subject: Digest,
  { signal }: Abortable,
): AsyncGenerator<Descriptor> {
  const { client, repository } = asked
  const ask: Ask = {
    access: pullAccess(repository),
    what: 'referrers',
    path: `referrers/${subject}`,
    headers: { accept: mediaTypes.ociIndex },
  }
  const first = await client.ask(ask, { limit: limits.bytes, signal })
  // What calls itself a list and is none is a failure: taken for none, signatures would be lost without a word.
  const isMeant = stripParameters(first.header('content-type') ?? '') === mediaTypes.ociIndex
  if (first.status === 200 && isMeant && !isList(first.bytes)) throw noList(asked, subject)
  if (absent.has(first.status) || (first.status === 200 && !isList(first.bytes))) {
    yield* descriptorsIn(await taggedReferrers(asked, subject, { signal }))
    return
  }
  if (first.status !== 200) throw client.failure(ask, first, first.bytes)
  const seen = new Set<Digest>()
  for await (const { bytes } of pagesOf(client, first, ask, limits, { signal }))
    for (const descriptor of descriptorsIn(bytes)) {
      if (seen.has(descriptor.digest)) continue
      seen.add(descriptor.digest)
      if (seen.size > maxReferrers) throw tooMany(asked, subject)
      yield descriptor
    }
}

/** The bytes of the index that is kept under the tag; empty when there is none. @throws DomainError as the client does. */
export async function taggedReferrers(
  asked: AskedRepository,
  subject: Digest,
  options: Abortable,
): Promise<Uint8Array> {
  try {
    const reference = { kind: 'tag', tag: referrersTagOf(subject) } as const
    return (await getManifest(asked, reference, options)).bytes
  } catch (error) {
    if (isDomainError(error, 'not_found', 'invalid')) return new Uint8Array()
    throw error
  }
}

export function descriptorsIn(index: Uint8Array): Descriptor[] {
  const { manifests } = jsonObjectIn(index)
  return (Array.isArray(manifests) ? (manifests as unknown[]) : []).flatMap(entry => {
    const { success, data } = descriptorSchema.safeParse(entry)
    return success ? [data] : []
  })
}

function noList({ client, repository }: AskedRepository, subject: Digest): DomainError {
  return new DomainError(
    'unsupported',
    `The registry ${client.registry} sent no list of what refers to ${subject} in ${repository}.`,
    { resource: 'image', name: `${client.registry}/${repository}` },
  )
}

function tooMany({ client, repository }: AskedRepository, subject: Digest): DomainError {
  return new DomainError(
    'too_large',
    `The registry ${client.registry} has more than ${maxReferrers} referrers of ${subject} in ${repository}.`,
    { resource: 'image', name: `${client.registry}/${repository}` },
  )
}

function isList(bytes: Uint8Array): boolean {
  return Array.isArray(jsonObjectIn(bytes)['manifests'])
}
