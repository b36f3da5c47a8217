import { chainIdsOf } from '../chain-id.ts'
import type { Descriptor } from '../descriptor.ts'
import type { ImageConfig } from '../image-config.ts'
import type { ImageIndex, ImageManifest } from '../manifest.ts'
import { manifestKindOf } from '../media-types.ts'
import { type Platform, satisfies } from '../platform.ts'
import type { ImageName } from '../reference.ts'
import { notAnImage, wrongPlatform } from './image-source-errors.ts'
import type { ResolvedLayer } from './image-source.ts'

/** Docker makes 127 at most, and every layer costs a snapshot. */
const maxLayers = 1000

/** The first child for the platform, as docker and containerd choose; an index says its order of preference. */
export function chooseChild(name: ImageName, index: ImageIndex, platform: Platform): Descriptor {
  const images = index.manifests.filter(({ mediaType }) => manifestKindOf(mediaType) !== undefined)
  const chosen = images.find(child => child.platform !== undefined && satisfies(child.platform, platform))
  // A child that does not say its platform is tried only when it is the one there is; its config then decides.
  const only = images.length === 1 && images[0]?.platform === undefined ? images[0] : undefined
  if (chosen !== undefined) return chosen
  if (only !== undefined) return only
  throw wrongPlatform(
    name,
    platform,
    images.flatMap(child => (child.platform === undefined ? [] : [child.platform])),
  )
}

/** Base first. @throws DomainError `invalid` where manifest and config disagree, or there are none, or too many. */
export function pairLayers(name: ImageName, manifest: ImageManifest, config: ImageConfig): ResolvedLayer[] {
  const { diffIds } = config
  if (diffIds.length !== manifest.layers.length)
    throw notAnImage(
      name,
      `it has ${manifest.layers.length} layers, but its config names ${diffIds.length} diff IDs`,
    )
  if (diffIds.length === 0) throw notAnImage(name, 'it has no layers')
  if (diffIds.length > maxLayers)
    throw notAnImage(name, `it has ${diffIds.length} layers; at most ${maxLayers} are taken`)
  const chainIds = chainIdsOf(diffIds)
  return manifest.layers.flatMap((descriptor, index) => {
    const diffId = diffIds[index]
    const chainId = chainIds[index]
    return diffId === undefined || chainId === undefined ? [] : [{ descriptor, diffId, chainId }]
  })
}
