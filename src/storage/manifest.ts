import * as z from 'zod'
import { DomainError } from '../errors.ts'
import { annotationsSchema, type Descriptor, descriptorSchema } from './descriptor.ts'
import {
  isManifestMediaType,
  isNonDistributable,
  type ManifestMediaType,
  manifestKindOf,
  mediaTypes,
  stripParameters,
} from './media-types.ts'

/** An image (or artifact) manifest: OCI image-spec manifest.md, or Docker's schema 2. */
export interface ImageManifest {
  readonly kind: 'image'
  readonly mediaType: ManifestMediaType
  readonly config: Descriptor
  /** Base first. */
  readonly layers: readonly Descriptor[]
  readonly subject?: Descriptor | undefined
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

/** An image index (OCI image-spec image-index.md) or Docker's manifest list. */
export interface ImageIndex {
  readonly kind: 'index'
  readonly mediaType: ManifestMediaType
  readonly manifests: readonly Descriptor[]
  readonly subject?: Descriptor | undefined
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

export type Manifest = ImageManifest | ImageIndex

/**
 * The largest manifest that is taken, in bytes: the read limit of containerd, so that whatever was
 * pushed can be pulled. The spec asks for at least 4 MiB.
 */
export const maxManifestBytes = 4 * 1048 * 1048

const shared = {
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  subject: descriptorSchema.nullish().transform(value => value ?? undefined),
  annotations: annotationsSchema.nullish().transform(value => value ?? undefined),
}

const imageSchema = z.looseObject({ ...shared, config: descriptorSchema, layers: z.array(descriptorSchema) })
const indexSchema = z.looseObject({ ...shared, manifests: z.array(descriptorSchema) })

/**
 * Parses the bytes of a manifest. The type is `contentType` (parameters ignored); without one, the
 * body's `mediaType`, and without that, its shape.
 *
 * @throws DomainError `invalid` when it is not JSON, not of one of the four known types, of a type other
 * than the body's own `mediaType`, or lacks what the type demands.
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  const json = parseJsonObject(bytes)
  const declared = typeof json['mediaType'] === 'string' ? json['mediaType'] : undefined
  const given = contentType === undefined ? undefined : stripParameters(contentType)
  if (given !== undefined && declared !== undefined && given !== declared)
    throw invalidManifest(`its mediaType is ${declared}, but it was sent as ${given}`)

  const mediaType = given ?? declared ?? typeByShape(json)
  if (mediaType === undefined || !isManifestMediaType(mediaType))
    throw invalidManifest(
      `the type ${mediaType ?? '(none given)'} is not supported; use ${[...Object.values(mediaTypes)].filter(isManifestMediaType).join(', ')}`,
    )
  if (manifestKindOf(mediaType) === 'image') {
    if ('manifests' in json) throw invalidManifest('an image manifest must not have "manifests"')
    const { config, layers, subject, artifactType, annotations } = check(imageSchema, json)
    return { kind: 'image', mediaType, config, layers, subject, artifactType, annotations }
  }
  // Mixing both shapes is how one document is made to mean two things: CVE-2021-41190.
  if ('layers' in json || 'config' in json)
    throw invalidManifest('an index must not have "layers" or "config"')
  const { manifests, subject, artifactType, annotations } = check(indexSchema, json)
  return { kind: 'index', mediaType, manifests, subject, artifactType, annotations }
}

export type ReferenceRole = 'config' | 'layer' | 'child' | 'subject'

/** An edge from a manifest to what it names. */
export interface ManifestEdge {
  readonly role: ReferenceRole
  readonly descriptor: Descriptor
  /** Whether a push is refused while the target is absent from the repository. */
  readonly required: boolean
}

/**
 * What must be in the repository before a manifest is taken: nothing, its config and layers, or the children of an
 * index as well.
 */
export const requiredReferences = ['none', 'blobs', 'all'] as const
export type RequiredReferences = (typeof requiredReferences)[number]

/**
 * All edges, in the manifest's order. Config and layers are required, except for non-distributable layers
 * that say where else they are. A subject may come later by the spec; children of an index may be missing
 * unless `all` is asked for, because mirrors copy single platforms.
 */
export function edgesOf(manifest: Manifest, required: RequiredReferences = 'blobs'): ManifestEdge[] {
  const edges: ManifestEdge[] =
    manifest.kind === 'image'
      ? [
          { role: 'config', descriptor: manifest.config, required: required !== 'none' },
          ...manifest.layers.map(descriptor => ({
            role: 'layer' as const,
            descriptor,
            required: required !== 'none' && !isElsewhere(descriptor),
          })),
        ]
      : manifest.manifests.map(descriptor => ({
          role: 'child' as const,
          descriptor,
          required: required === 'all',
        }))
  if (manifest.subject !== undefined)
    edges.push({ role: 'subject', descriptor: manifest.subject, required: false })
  return edges
}

function isElsewhere({ mediaType, urls = [] }: Descriptor): boolean {
  return isNonDistributable(mediaType) && urls.length > 0
}

/** The `artifactType` of a referrer's descriptor: distribution-spec, "Listing Referrers". */
export function artifactTypeOf(manifest: Manifest): string | undefined {
  if (manifest.artifactType) return manifest.artifactType
  return manifest.kind === 'image' ? manifest.config.mediaType : undefined
}

function parseJsonObject(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    // A byte order mark is kept, and so refused: Go's parser, which most clients have, does not take it.
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw invalidManifest('it is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidManifest('it is not a JSON object')
  return value as Record<string, unknown>
}

function typeByShape(json: Record<string, unknown>): ManifestMediaType | undefined {
  if ('manifests' in json) return mediaTypes.ociIndex
  if ('config' in json && 'layers' in json) return mediaTypes.ociManifest
  return undefined
}

function check<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalidManifest(`${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'invalid'}`)
}

/** Characters; what is quoted from a manifest may be megabytes. */
const maxReason = 500

function invalidManifest(why: string, cause?: unknown): DomainError {
  const reason = why.length > maxReason ? `${why.slice(0, maxReason)}…` : why
  return new DomainError(
    'invalid',
    `The manifest is not valid: ${reason}.`,
    { resource: 'manifest' },
    { cause },
  )
}
