import { buffer } from 'node:stream/consumers'
import * as z from 'zod'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import { algorithmOf, digestOf } from '../../storage/digest.ts'
import { ifThere } from '../../storage/images/if-there.ts'
import type { ReadableRepository } from '../../storage/images/image-repository.ts'
import { readManifest, type WantedManifest } from '../../storage/images/read-manifest.ts'
import { type ImageIndex, parseManifest } from '../../storage/manifest.ts'
import { defaultPlatform, type Platform, satisfies } from '../../storage/platform.ts'

/** image-spec, annotations.md, "Pre-Defined Annotation Keys". */
const createdAnnotation = 'org.opencontainers.image.created'

/** Configs are some kilobytes. */
const maxConfigBytes = 1024 * 1024

const configSchema = z.looseObject({ created: z.string() })

/**
 * When the image says it was made, in milliseconds; of an index, when that for one of the platforms (or, without any, for
 * Linux on amd64, or else the first) was. 0 for what does not say. What the target has of it is read there.
 * @throws DomainError as the repositories do; `not_found` for a manifest that is gone.
 */
export async function creationTimeOf(
  { source, target }: { readonly source: ReadableRepository; readonly target: ReadableRepository },
  wanted: WantedManifest,
  platforms: readonly Platform[],
  options: Abortable,
): Promise<number> {
  try {
    const manifest = await read(wanted)
    if (manifest.kind === 'image')
      return timeIn(manifest.annotations?.[createdAnnotation]) ?? (await timeOfConfig(manifest.config))
    const said = timeIn(manifest.annotations?.[createdAnnotation])
    const child = childOf(manifest, platforms)
    if (said !== undefined || child === undefined) return said ?? 0
    const image = await read(child)
    if (image.kind === 'index') return 0
    return timeIn(image.annotations?.[createdAnnotation]) ?? (await timeOfConfig(image.config))
  } catch (error) {
    // What is broken is no reason to mirror none of the others; should it be chosen, the copy says what is wrong.
    if (isDomainError(error, 'invalid', 'too_large', 'digest_mismatch', 'size_mismatch')) return 0
    throw error
  }

  async function read(descriptor: WantedManifest) {
    const known = await ifThere(readManifest(target, descriptor, options))
    const { bytes, mediaType } = known ?? (await readManifest(source, descriptor, options))
    return parseManifest(bytes, mediaType)
  }

  async function timeOfConfig({ digest, size }: Descriptor): Promise<number> {
    if (size > maxConfigBytes) return 0
    const open = (place: ReadableRepository) => ifThere(place.openBlob(digest, options))
    const body = (await open(target)) ?? (await open(source))
    if (body === undefined) return 0
    if (body.size !== size) {
      body.stream.destroy()
      return 0
    }
    const bytes = await buffer(body.stream)
    return digestOf(bytes, algorithmOf(digest)) === digest ? (createdIn(bytes) ?? 0) : 0
  }
}

function childOf({ manifests }: ImageIndex, platforms: readonly Platform[]): Descriptor | undefined {
  const wanted = platforms.length === 0 ? [defaultPlatform] : platforms
  return (
    manifests.find(
      ({ platform }) => platform !== undefined && wanted.some(one => satisfies(platform, one)),
    ) ?? manifests[0]
  )
}

function createdIn(bytes: Uint8Array): number | undefined {
  try {
    return timeIn(configSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8'))).created)
  } catch {
    return undefined
  }
}

function timeIn(text: string | undefined): number | undefined {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? undefined : time
}
