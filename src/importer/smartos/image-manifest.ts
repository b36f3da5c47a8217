import { type ChainId, chainIdsOf, parseChainId } from '../../storage/chain-id.ts'
import type { Digest } from '../../storage/digest.ts'
import { hexOf } from '../../storage/digest.ts'
import type { ImageConfig } from '../../storage/image-config.ts'
import type { ImageName } from '../../storage/reference.ts'
import { type ImageUuid, imageUuidOf } from './image-uuid.ts'
import { defaultKernelVersion } from './vmadm-payload.ts'

/** Who owns what has no owner, until a data center gives it one. */
const nobody = '00000000-0000-0000-0000-000000000000'

/** imgmanifest's limit for an image's description is generous; one line is what `imgadm list` shows. */
const maxDescriptionLength = 255

/** All tags together may have 100 KB of JSON; the image's own strings are all that could be longer than that. */
const maxConfigTagBytes = 64 * 1024

/** A stranger's text; every architecture that there is has this form. */
const architecturePattern = /^[A-Za-z0-9._-]{1,64}$/

/** Says which chain the image is, and that the manifest is ours. */
const chainTag = 'varve:chain-id'

/**
 * An image manifest of version 2 for a chain of layers, with the fields that imgadm and IMGAPI accept and no other:
 * they refuse what they do not know, so whatever else there is to say goes into `tags`.
 *
 * It describes what Varve publishes: all layers in one dataset. So, unlike in a manifest of Triton's own for the same
 * UUID, there is
 * - no `origin`. imgadm makes a dataset for each layer, each a clone of the one below, and `origin` is how it finds that
 *   one, to install it first. Ours is a clone of a snapshot chain and needs no other image. To publish the layers below
 *   too would be a dataset each that nobody provisions from, that `imgadm list` shows and `imgadm vacuum` removes one by one,
 *   while the manifests above would go on naming them: imgadm knows dependents by clones of `@final`, which they would not be.
 *   It loses nothing: imgadm takes what is there under a layer's UUID as that layer with all below it, whoever made it.
 * - no `files`: they are for who downloads the image, by SHA-1, and Varve knows its layers by other digests. To be installed
 *   an image needs v, uuid, name, version, type and os.
 *
 * Source: imgmanifest 3.1; imgadm 3.9; Triton RFD 57.
 */
export interface ImageManifest {
  readonly v: 2
  readonly uuid: ImageUuid
  readonly owner: string
  readonly name: 'docker-layer'
  /** The first 12 hex digits of the top layer's digest. */
  readonly version: string
  readonly state: 'active'
  readonly disabled: false
  readonly public: false
  /** ISO 8601 in UTC, with milliseconds. */
  readonly published_at: string
  readonly type: 'docker'
  readonly os: 'linux'
  readonly description?: string
  readonly tags: Readonly<Record<string, string | boolean | DockerConfigTag>>
}

/** The part of an image's config that Triton keeps in its manifest. */
export interface DockerConfigTag {
  readonly Cmd: readonly string[] | null
  readonly Entrypoint: readonly string[] | null
  readonly Env: readonly string[] | null
  readonly WorkingDir: string
}

export interface ManifestParts {
  /** undefined when the image has no name any more. */
  readonly name: Pick<ImageName, 'repository' | 'tag'> | undefined
  readonly config: ImageConfig
  /** Digests of the layers' blobs, base first. */
  readonly blobs: readonly Digest[]
  /** Used where the config does not say when it was created, as it need not. */
  readonly importedAt: Date
  /** As in the payload of its zones; VMAPI takes it from here for a payload that has none. */
  readonly kernelVersion?: string | undefined
}

export function imageManifestOf(parts: ManifestParts): ImageManifest {
  const { name, config, blobs, importedAt } = parts
  const top = blobs.at(-1)
  const chain = chainIdsOf(config.diffIds).at(-1)
  if (top === undefined || chain === undefined) throw new Error('an image without layers has no manifest')
  return {
    v: 2,
    uuid: imageUuidOf(blobs),
    owner: nobody,
    name: 'docker-layer',
    version: hexOf(top).slice(0, 12),
    state: 'active',
    disabled: false,
    public: false,
    published_at: publishedAt(config.created, importedAt).toISOString(),
    type: 'docker',
    os: 'linux',
    ...(name === undefined ? {} : { description: name.repository.slice(0, maxDescriptionLength) }),
    tags: { ...tagsOf(parts, top), [chainTag]: chain },
  }
}

/**
 * The chain of a manifest that {@link imageManifestOf} made, read back from imgadm's database; undefined for any other,
 * as for one that imgadm has made of the same image.
 */
export function chainOfManifest(manifest: unknown): ChainId | undefined {
  const chain = memberOf(memberOf(manifest, 'tags'), chainTag)
  if (typeof chain !== 'string') return undefined
  try {
    return parseChainId(chain)
  } catch {
    return undefined
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined
}

function tagsOf(
  { name, config, kernelVersion = defaultKernelVersion }: ManifestParts,
  top: Digest,
): ImageManifest['tags'] {
  const tag = configTagOf(config)
  return {
    kernel_version: kernelVersion,
    'docker:id': top,
    ...(name === undefined ? {} : { 'docker:repo': name.repository }),
    ...(architecturePattern.test(config.architecture) ? { 'docker:architecture': config.architecture } : {}),
    ...(name?.tag === undefined ? {} : { [`docker:tag:${name.tag}`]: true }),
    ...(Buffer.byteLength(JSON.stringify(tag)) > maxConfigTagBytes ? {} : { 'docker:config': tag }),
  }
}

function configTagOf({ process }: ImageConfig): DockerConfigTag {
  const { Cmd, Entrypoint, Env, WorkingDir } = process
  return { Cmd: Cmd ?? null, Entrypoint: Entrypoint ?? null, Env: Env ?? null, WorkingDir: WorkingDir ?? '' }
}

/** A stranger's `created` may be any text, or a year that Triton cannot read back. */
function publishedAt(created: string | undefined, importedAt: Date): Date {
  const date = new Date(created ?? Number.NaN)
  const year = date.getUTCFullYear()
  return year >= 1970 && year <= 9999 ? date : importedAt
}
