import type { Digest } from '../../storage/digest.ts'
import type { ImageConfig } from '../../storage/image-config.ts'
import { parseImageName } from '../../storage/reference.ts'
import { type ImageManifest, imageManifestOf } from './image-manifest.ts'
import { type VmadmPayload, vmadmPayloadOf } from './vmadm-payload.ts'

/** An image as Triton and SmartOS know it. */
export interface TritonImage {
  readonly manifest: ImageManifest
  /** What a zone of the image needs in its payload; the provisioner adds what is its own. */
  readonly payload: VmadmPayload
}

export interface TritonImageParts {
  /** As people write it; undefined when the image has no name any more. */
  readonly name: string | undefined
  readonly config: ImageConfig
  readonly configDigest: Digest
  /** Digests of the layers' blobs, base first. */
  readonly blobs: readonly Digest[]
  readonly importedAt: Date
  /** Bytes that a zone of it may grow to. */
  readonly quota?: number | undefined
  /** The Linux that its zones say they are, such as 5.10.0; 3.13.0 without it. */
  readonly kernelVersion?: string | undefined
}

/** undefined for what no LX zone can run. */
export function tritonImageOf(parts: TritonImageParts): TritonImage | undefined {
  const { name, config, configDigest, blobs, importedAt, quota, kernelVersion } = parts
  if (config.os !== 'linux') return undefined
  const parsed = name === undefined ? undefined : parseImageName(name)
  const manifest = imageManifestOf({ name: parsed, config, blobs, importedAt, kernelVersion })
  const payload = vmadmPayloadOf({
    image: manifest.uuid,
    imageName: name ?? configDigest,
    configDigest,
    process: config.process,
    quota,
    kernelVersion,
  })
  return { manifest, payload }
}
