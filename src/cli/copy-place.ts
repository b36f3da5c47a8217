import { DomainError } from '../errors.ts'
import {
  type ImageName,
  parseImageName,
  parseReference,
  parseTag,
  type Reference,
  referenceOf,
  type Tag,
} from '../storage/reference.ts'

/** Where an image is, or is to be. */
export type CopyPlace =
  | { readonly kind: 'registry'; readonly image: ImageName }
  | { readonly kind: 'layout'; readonly directory: string; readonly reference: Reference | undefined }

const layoutPrefix = 'oci:'

/**
 * `[registry/]repository[:tag][@digest]`, or `oci:DIRECTORY[:tag]` or `oci:DIRECTORY@digest` for an OCI image layout.
 * @throws DomainError `invalid`.
 */
export function parseCopyPlace(text: string): CopyPlace {
  if (!text.startsWith(layoutPrefix)) return { kind: 'registry', image: parseImageName(text) }
  const rest = text.slice(layoutPrefix.length)
  // A directory may have either in its name, but no tag and no digest has a slash.
  const [, directory = '', separator, named = ''] = /^(.*?)(?:([:@])([^/]*))?$/s.exec(rest) ?? []
  if (directory === '' || directory.includes('\0'))
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, 512))} names no directory; write oci:DIRECTORY, oci:DIRECTORY:TAG or oci:DIRECTORY@DIGEST.`,
      { resource: 'image', name: text.slice(0, 512) },
    )
  if (separator === undefined) return { kind: 'layout', directory, reference: undefined }
  const reference: Reference =
    separator === ':' ? { kind: 'tag', tag: parseTag(named) } : digestReference(named)
  return { kind: 'layout', directory, reference }
}

/** What is asked for at the source; of a layout without a name, what `onlyTag` says. */
export function sourceReference(place: CopyPlace, onlyTag: Tag | undefined): Reference {
  if (place.kind === 'registry') return referenceOf(place.image)
  if (place.reference !== undefined) return place.reference
  if (onlyTag !== undefined) return { kind: 'tag', tag: onlyTag }
  throw new DomainError(
    'invalid',
    `The layout ${place.directory} has not one tag but none, or several; name one: oci:${place.directory}:TAG.`,
    { resource: 'image', name: place.directory },
  )
}

/** The tag at the target: its own, else in a layout that of the source; undefined: by digest alone. @throws DomainError `invalid`. */
export function targetTag(place: CopyPlace, source: Reference): Tag | undefined {
  const { tag, digest } = namedAt(place)
  if (digest !== undefined)
    throw new DomainError(
      'invalid',
      `The target is named by a tag, not by the digest ${digest}: that is what is copied there.`,
      { resource: 'image', name: digest },
    )
  if (tag !== undefined || place.kind === 'registry') return tag
  return source.kind === 'tag' ? source.tag : undefined
}

function namedAt(place: CopyPlace): Pick<ImageName, 'tag' | 'digest'> {
  if (place.kind === 'registry') return place.image
  const { reference } = place
  if (reference === undefined) return {}
  return reference.kind === 'tag' ? { tag: reference.tag } : { digest: reference.digest }
}

function digestReference(text: string): Reference {
  const reference = parseReference(text)
  if (reference.kind === 'digest') return reference
  throw new DomainError('invalid', `${JSON.stringify(text)} is not a digest.`, {
    resource: 'digest',
    name: text,
  })
}
