import * as z from 'zod'
import { DomainError } from '../../../errors.ts'
import { type Descriptor, descriptorSchema } from '../../descriptor.ts'
import type { Digest } from '../../digest.ts'
import type { Tag } from '../../reference.ts'
import { parseTag } from '../../reference.ts'
import { jsonDepthOf } from '../../remote/json-depth.ts'

/** The `index.json` of a layout (OCI image-spec, image-layout.md); what is not known in it stays as it is. */
export interface LayoutIndex {
  readonly manifests: readonly Descriptor[]
}

/** Some ten thousand images. Bytes. */
export const maxIndexBytes = 16 * 1024 * 1024
/** It is written again as JSON, which cannot be done at any depth. */
const maxDepth = 100
/** annotations.md: what a manifest is called in a layout. */
const nameAnnotation = 'org.opencontainers.image.ref.name'

const indexSchema = z.looseObject({ schemaVersion: z.literal(2), manifests: z.array(descriptorSchema) })

export const emptyIndex: LayoutIndex & Record<string, unknown> = Object.freeze({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [],
})

/** @param label the layout, for people. @throws DomainError `invalid`. */
export function parseLayoutIndex(bytes: Uint8Array, label: string): LayoutIndex {
  if (jsonDepthOf(bytes) > maxDepth) throw invalidIndex(label, `it is nested more than ${maxDepth} deep`)
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw invalidIndex(label, 'it is not JSON', cause)
  }
  const result = indexSchema.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalidIndex(label, `${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'invalid'}`)
}

export function formatLayoutIndex(index: LayoutIndex): Buffer {
  return Buffer.from(`${JSON.stringify(index, undefined, 2)}\n`)
}

/** What a manifest is called; not all names are tags. */
export function nameOf({ annotations }: Descriptor): string | undefined {
  return annotations?.[nameAnnotation]
}

/** Several of one name are one too many; the last was added last. */
export function findNamed({ manifests }: LayoutIndex, name: string): Descriptor | undefined {
  return manifests.findLast(descriptor => nameOf(descriptor) === name)
}

/** In byte order, each once. */
export function tagsIn({ manifests }: LayoutIndex): Tag[] {
  const tags = manifests.flatMap(descriptor => {
    try {
      return [parseTag(nameOf(descriptor) ?? '')]
    } catch {
      return []
    }
  })
  return [...new Set(tags)].sort()
}

/**
 * With a manifest under these tags, and without what they named before. A manifest without a tag stands there as well,
 * unless it does already, so that it is found; what an index names is found by way of that, unless it refers to something.
 */
export function withManifest(index: LayoutIndex, { descriptor, tags, children }: NewEntry): LayoutIndex {
  const named = new Set<string>(tags)
  const hidden = new Set<string>(children)
  const kept = index.manifests.filter(entry => {
    const name = nameOf(entry)
    if (name !== undefined) return !named.has(name)
    return (entry.digest !== descriptor.digest || tags.length === 0) && !hidden.has(entry.digest)
  })
  const isThere = kept.some(({ digest }) => digest === descriptor.digest)
  const added =
    tags.length > 0
      ? tags.map(tag => ({
          ...descriptor,
          annotations: { ...descriptor.annotations, [nameAnnotation]: tag },
        }))
      : isThere
        ? []
        : [descriptor]
  return { ...index, manifests: [...kept, ...added] }
}

export interface NewEntry {
  readonly descriptor: Descriptor
  readonly tags: readonly Tag[]
  /** What it names, so that this need not stand there on its own. */
  readonly children: readonly Digest[]
}

/** Without the tag. What it named stays, without a name where it has no other. */
export function withoutTag(index: LayoutIndex, tag: Tag): LayoutIndex {
  const entry = findNamed(index, tag)
  const kept = index.manifests.filter(one => nameOf(one) !== tag)
  if (entry === undefined || kept.some(({ digest }) => digest === entry.digest))
    return { ...index, manifests: kept }
  const { [nameAnnotation]: _, ...annotations } = entry.annotations ?? {}
  return { ...index, manifests: [...kept, { ...entry, annotations }] }
}

const maxReason = 300

function invalidIndex(label: string, why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The index.json of ${label} is not valid: ${why.slice(0, maxReason)}.`,
    { resource: 'image', name: label },
    { cause },
  )
}
