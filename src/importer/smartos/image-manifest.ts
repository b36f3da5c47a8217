import type { Digest } from '../../storage/digest.ts'
import { hexOf } from '../../storage/digest.ts'
import type { ImageConfig } from '../../storage/image-config.ts'
import type { ImageName } from '../../storage/reference.ts'
import { type ImageUuid, imageUuidOf, originUuidOf } from './image-uuid.ts'

/** Who owns what has no owner, until a data center gives it one. */
const nobody = '00000000-0000-0000-0000-000000000000'

/** imgmanifest's limit for an image's description is generous; one line is what `imgadm list` shows. */
const maxDescriptionLength = 255

/**
 * An image manifest of version 2 for a chain of layers, with the fields that imgadm and IMGAPI accept and no other:
 * they refuse what they do not know, so whatever else there is to say goes into `tags`.
 * Source: imgmanifest 3.1; Triton RFD 57.
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
  readonly origin?: ImageUuid
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

export interface PublishedImage {
  /** undefined when the image has no name any more. */
  readonly name: Pick<ImageName, 'repository' | 'tag'> | undefined
  readonly config: ImageConfig
  /** Digests of the layers' blobs, base first. */
  readonly blobs: readonly Digest[]
  /** Used where the config does not say when it was created, as it need not. */
  readonly importedAt: Date
}

export function imageManifestOf({ name, config, blobs, importedAt }: PublishedImage): ImageManifest {
  const top = blobs.at(-1)
  if (top === undefined) throw new Error('an image without layers has no manifest')
  const origin = originUuidOf(blobs)
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
    ...(origin === undefined ? {} : { origin }),
    ...(name === undefined
      ? {}
      : { description: `top layer of ${name.repository}`.slice(0, maxDescriptionLength) }),
    tags: tagsOf(name, config, top),
  }
}

function tagsOf(name: PublishedImage['name'], config: ImageConfig, top: Digest): ImageManifest['tags'] {
  const { Cmd, Entrypoint, Env, WorkingDir } = config.process
  return {
    'docker:id': top,
    ...(name === undefined ? {} : { 'docker:repo': name.repository }),
    'docker:architecture': config.architecture,
    ...(name?.tag === undefined ? {} : { [`docker:tag:${name.tag}`]: true }),
    'docker:config': {
      Cmd: Cmd ?? null,
      Entrypoint: Entrypoint ?? null,
      Env: Env ?? null,
      WorkingDir: WorkingDir ?? '',
    },
  }
}

/** A stranger's `created` may be any text, or a year that Triton cannot read back. */
function publishedAt(created: string | undefined, importedAt: Date): Date {
  const date = new Date(created ?? Number.NaN)
  const year = date.getUTCFullYear()
  return year >= 1970 && year <= 9999 ? date : importedAt
}
