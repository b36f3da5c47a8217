import { DomainError } from '../errors.ts'
import { type Digest, parseDigest } from './digest.ts'

export type RepositoryName = string & { readonly __brand: 'RepositoryName' }
export type Tag = string & { readonly __brand: 'Tag' }

/** What stands in the last path segment of a manifest request. */
export type Reference =
  | { readonly kind: 'tag'; readonly tag: Tag }
  | { readonly kind: 'digest'; readonly digest: Digest }

/** distribution-spec, "Pulling manifests": grammar of `<name>` and of a tag. */
const component = /[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/.source
const namePattern = new RegExp(`^${component}(?:/${component})*$`)
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const registryPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/

/** Many clients cap `host[:port]/name` at this length, so a longer name could be pushed but not pulled. */
export const maxNameLength = 255

/** @throws DomainError `invalid`. */
export function parseRepositoryName(text: string): RepositoryName {
  if (text.length > maxNameLength || !namePattern.test(text))
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, maxNameLength))} is not a repository name; use lower-case letters, digits, and single . _ - between them, in parts separated by /, at most ${maxNameLength} characters.`,
      { resource: 'repository', name: text.slice(0, maxNameLength) },
    )
  return text as RepositoryName
}

/** @throws DomainError `invalid`. */
export function parseTag(text: string): Tag {
  if (!tagPattern.test(text))
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, 140))} is not a tag; use at most 128 letters, digits and . _ -, beginning with a letter, a digit or _.`,
      { resource: 'tag', name: text.slice(0, 140) },
    )
  return text as Tag
}

/** A colon is never legal in a tag, so what holds one is a digest. @throws DomainError `invalid`. */
export function parseReference(text: string): Reference {
  return text.includes(':')
    ? { kind: 'digest', digest: parseDigest(text) }
    : { kind: 'tag', tag: parseTag(text) }
}

/** An image as a person writes it: `[registry/]repository[:tag][@digest]`. */
export interface ImageName {
  /** `host[:port]`, never with a scheme. */
  readonly registry: string
  readonly repository: RepositoryName
  readonly tag?: Tag | undefined
  readonly digest?: Digest | undefined
}

/** Docker's rule: without a registry the image is Docker Hub's, and a single word there lives under `library/`. */
export const defaultRegistry = 'docker.io'

/** Parses an image name as docker does; without tag and digest the tag is `latest`. @throws DomainError `invalid`. */
export function parseImageName(text: string): ImageName {
  const [beforeDigest = '', digestText, ...surplus] = text.split('@')
  if (surplus.length > 0) throw invalidImage(text)
  const slash = beforeDigest.indexOf('/')
  const first = slash < 0 ? '' : beforeDigest.slice(0, slash)
  const hasRegistry = first === 'localhost' || /[.:[]/.test(first)
  const registry = hasRegistry ? first : defaultRegistry
  if (!registryPattern.test(registry)) throw invalidImage(text)

  const rest = hasRegistry ? beforeDigest.slice(slash + 1) : beforeDigest
  const colon = rest.lastIndexOf(':')
  const path = colon < 0 ? rest : rest.slice(0, colon)
  const digest = digestText === undefined ? undefined : parseDigest(digestText)
  const tag =
    colon >= 0 ? parseTag(rest.slice(colon + 1)) : digest === undefined ? ('latest' as Tag) : undefined
  const official = registry === defaultRegistry && !path.includes('/')
  return { registry, repository: parseRepositoryName(official ? `library/${path}` : path), tag, digest }
}

export function formatImageName({ registry, repository, tag, digest }: ImageName): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** What to ask the registry for: the digest decides when both are given. */
export function referenceOf({ tag, digest }: ImageName): Reference {
  if (digest !== undefined) return { kind: 'digest', digest }
  return { kind: 'tag', tag: tag ?? ('latest' as Tag) }
}

export function formatReference(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest
}

function invalidImage(text: string): DomainError {
  return new DomainError(
    'invalid',
    `${JSON.stringify(text.slice(0, 512))} is not an image name; write [registry/]repository[:tag][@digest], such as localhost:5000/debian:12.`,
    { resource: 'image', name: text },
  )
}
