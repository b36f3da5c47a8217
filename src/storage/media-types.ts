/** Every media type that Varve acts on. Others are stored and served, never understood. */
export const mediaTypes = Object.freeze({
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
})

export type ManifestMediaType =
  | 'application/vnd.oci.image.manifest.v1+json'
  | 'application/vnd.oci.image.index.v1+json'
  | 'application/vnd.docker.distribution.manifest.v2+json'
  | 'application/vnd.docker.distribution.manifest.list.v2+json'

const manifestKinds: ReadonlyMap<string, 'image' | 'index'> = new Map([
  [mediaTypes.ociManifest, 'image'],
  [mediaTypes.dockerManifest, 'image'],
  [mediaTypes.ociIndex, 'index'],
  [mediaTypes.dockerManifestList, 'index'],
])

export function manifestKindOf(mediaType: string): 'image' | 'index' | undefined {
  return manifestKinds.get(mediaType)
}

export function isManifestMediaType(mediaType: string): mediaType is ManifestMediaType {
  return manifestKinds.has(mediaType)
}

export type LayerCompression = 'none' | 'gzip' | 'zstd'

/** How a layer of this type is compressed; undefined when it is no layer that becomes a filesystem. */
export function layerCompressionOf(mediaType: string): LayerCompression | undefined {
  return layerTypes.get(mediaType)
}

/** image-spec layer.md and Docker's schema 2 names. */
const layerTypes: ReadonlyMap<string, LayerCompression> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip'],
])

/** Layers that a registry need not hold when the descriptor gives `urls` (image-spec layer.md, "Non-Distributable Layers"). */
export function isNonDistributable(mediaType: string): boolean {
  return mediaType.includes('.layer.nondistributable.') || mediaType.includes('.rootfs.foreign.')
}

/** A `Content-Type` header's value without its parameters, in lower case. */
export function stripParameters(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
}
