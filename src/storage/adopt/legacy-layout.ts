import { isDomainError } from '../../errors.ts'
import { algorithmOf, type Digest, hexOf, parseDigest } from '../digest.ts'
import { parseTag, type Tag } from '../reference.ts'

/**
 * The words of distribution's storage layout, version 2, which its releases 2 and 3 share
 * (distribution/distribution, registry/storage/paths.go):
 *
 *     blobs/<algorithm>/<2 hex>/<hex>/data                        the bytes of blobs and manifests
 *     repositories/<name>/_layers/<algorithm>/<hex>/link          the repository serves the blob
 *     repositories/<name>/_manifests/revisions/<algorithm>/<hex>/link
 *     repositories/<name>/_manifests/tags/<tag>/current/link      what the tag points at
 *     repositories/<name>/_manifests/tags/<tag>/index/…           what it has ever pointed at
 *     repositories/<name>/_uploads/<id>/…                         uploads that have not ended
 *
 * A link holds a digest as text: that of its own path, or for another algorithm's digest the sha256 under which the
 * bytes are.
 */
export const legacyPaths = Object.freeze({
  /** Below the root directory that was configured. */
  root: 'docker/registry/v2/',
  blobs: 'blobs/',
  repositories: 'repositories/',
})

/** No digest in a link is longer. Bytes. */
export const maxLinkBytes = 256

/** What a file of a repository says. */
export type LegacyFact =
  | { readonly kind: 'layer' | 'revision'; readonly digest: Digest }
  | { readonly kind: 'tag'; readonly tag: Tag }
  | { readonly kind: 'upload'; readonly id: string }
  /** Nothing that is needed: history, signatures, other programs' files. */
  | { readonly kind: 'nothing' }
  /** A name that stands where a digest or a tag must be, and is none. */
  | { readonly kind: 'nonsense'; readonly reason: string }

export interface LegacyPlace {
  /** As it stands in the path. */
  readonly repository: string
  readonly fact: LegacyFact
}

/** Where the bytes of a digest are. */
export function blobDataPath(digest: Digest): string {
  const hex = hexOf(digest)
  return `${legacyPaths.blobs}${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}/data`
}

/** What a file below `repositories/` is about; undefined when it is of no repository. */
export function placeOf(path: string): LegacyPlace | undefined {
  const parts = path.split('/')
  // No part of a repository's name may begin with an underscore, so the first that does ends the name.
  const end = parts.findIndex(part => part.startsWith('_'))
  if (end < 1) return undefined
  return { repository: parts.slice(0, end).join('/'), fact: factOf(parts.slice(end)) }
}

/** Whether anything that is needed can be below this directory. */
export function mayMatter(directory: string): boolean {
  const parts = directory.split('/')
  const start = parts.findIndex(part => part.startsWith('_'))
  if (start < 0) return true
  const [section, kind, ...rest] = parts.slice(start)
  if (section === '_uploads') return rest.length === 0
  if (section === '_manifests')
    return kind === 'tags' ? rest[1] === undefined || rest[1] === 'current' : rest.length < 3
  return section === '_layers'
}

function factOf([section, ...rest]: readonly string[]): LegacyFact {
  if (section === '_layers') return linkFact('layer', rest)
  if (section === '_uploads' && rest.length > 1) return { kind: 'upload', id: rest[0] ?? '' }
  if (section !== '_manifests') return { kind: 'nothing' }
  const [kind, ...below] = rest
  if (kind === 'revisions') return linkFact('revision', below)
  if (kind !== 'tags' || below.length !== 3 || below[1] !== 'current' || below[2] !== 'link')
    return { kind: 'nothing' }
  return sensible(() => ({ kind: 'tag', tag: parseTag(below[0] ?? '') }))
}

/** Deeper paths are signatures of schema 1, and digests of its time (`tarsum/v1/sha256/…`). */
function linkFact(kind: 'layer' | 'revision', parts: readonly string[]): LegacyFact {
  const [algorithm = '', hex = '', file] = parts
  if (parts.length !== 3 || file !== 'link') return { kind: 'nothing' }
  return sensible(() => ({ kind, digest: parseDigest(`${algorithm}:${hex}`) }))
}

function sensible(read: () => LegacyFact): LegacyFact {
  try {
    return read()
  } catch (error) {
    if (isDomainError(error)) return { kind: 'nonsense', reason: error.message.replace(/\.$/, '') }
    throw error
  }
}
