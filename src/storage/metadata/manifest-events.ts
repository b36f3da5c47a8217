import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Requester } from '../requester.ts'
import type { NewEvent } from './event-records.ts'
import type { ManifestInfo } from './manifest-records.ts'

/** When something happened, and who asked for it. */
export interface Occasion {
  readonly at: Date
  readonly by: Requester | undefined
}

/** Of a push. @param tags that were set, each with what it named before. */
export function pushEvents(
  repository: RepositoryName,
  { digest, mediaType, size }: ManifestInfo,
  tags: ReadonlyMap<Tag, Digest | undefined>,
  occasion: Occasion,
): NewEvent[] {
  const facts = { repository, digest, mediaType, size, ...occasion }
  return [
    { kind: 'manifest', action: 'push', tag: [...tags.keys()][0], ...facts },
    ...[...tags].map(
      ([tag, previous]): NewEvent => ({ kind: 'tag', action: 'tag', tag, previous, ...facts }),
    ),
  ]
}

/** Of a manifest that is gone with its tags. */
export function deletionEvents(
  repository: RepositoryName,
  { digest, mediaType, size }: ManifestInfo,
  tags: readonly Tag[],
  occasion: Occasion,
): NewEvent[] {
  return [
    ...tags.map(tag => untagEvent(repository, tag, digest, occasion)),
    { kind: 'manifest', action: 'delete', repository, digest, mediaType, size, ...occasion },
  ]
}

/** @param previous what the tag named before. */
export function tagEvent(
  repository: RepositoryName,
  tag: Tag,
  { digest, mediaType, size }: ManifestInfo,
  previous: Digest | undefined,
  occasion: Occasion,
): NewEvent {
  return { kind: 'tag', action: 'tag', repository, tag, previous, digest, mediaType, size, ...occasion }
}

export function untagEvent(
  repository: RepositoryName,
  tag: Tag,
  digest: Digest,
  occasion: Occasion,
): NewEvent {
  return { kind: 'tag', action: 'delete', repository, tag, digest, ...occasion }
}
