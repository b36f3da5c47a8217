import type { Digest } from '../../storage/digest.ts'
import type { ProcessConfig } from '../../storage/image-config.ts'
import type { ImageUuid } from './image-uuid.ts'

/** The Linux that an LX zone says it is; what Triton's docker engine sets. */
export const defaultKernelVersion = '3.13.0'

/** Bytes of a zone's log at which it is rotated; what Triton's docker engine sets. Without it the log has no end. */
const maxLogBytes = 50_000_000

const bytesPerGiB = 1024 ** 3

/**
 * The part of a `vmadm create` payload that follows from the image, and what Triton's docker engine sets for every
 * container. The provisioner adds what is its own: uuid, alias, networks, memory, volumes (`filesystems`: one for each
 * `Volumes` of the image config), restart policy, `docker:tty` and so on; a command of its own replaces `docker:cmd`, and with
 * an entrypoint of its own the image's `docker:cmd` becomes `[]`.
 *
 * The image's strings are values of `internal_metadata`, where Triton's dockerinit reads them inside the zone. None becomes
 * a key or a setting of the zone: labels are left out (CVE-2026-53488).
 * Source: sdc-docker's payload of a container; vmadm(8).
 */
export interface VmadmPayload {
  readonly brand: 'lx'
  readonly kernel_version: string
  /** As in the image's manifest. */
  readonly image_uuid: ImageUuid
  readonly docker: true
  readonly restart_init: false
  readonly autoboot: false
  /** Nothing reaches the zone that no rule of the provisioner lets in. */
  readonly firewall_enabled: true
  readonly init_name: '/native/usr/vm/sbin/dockerinit'
  /** MiB of memory at /tmp: none, so that the image's own is seen. */
  readonly tmpfs: 0
  /** Bytes. */
  readonly zlog_max_size: number
  /** GiB, rounded up; only when one was asked for. What a zone shares with its image does not count. 0 is no limit. */
  readonly quota?: number
  readonly tags: Readonly<Record<string, boolean>>
  /** Lists are JSON in a string. */
  readonly internal_metadata: Readonly<Record<string, string>>
}

export interface PayloadParts {
  readonly image: ImageUuid
  /** As people write it. */
  readonly imageName: string
  readonly configDigest: Digest
  readonly process: ProcessConfig
  /** Bytes; 0 is no limit. */
  readonly quota?: number | undefined
  readonly kernelVersion?: string | undefined
}

export function vmadmPayloadOf({
  image,
  imageName,
  configDigest,
  process,
  quota,
  kernelVersion = defaultKernelVersion,
}: PayloadParts): VmadmPayload {
  return {
    brand: 'lx',
    kernel_version: kernelVersion,
    image_uuid: image,
    docker: true,
    restart_init: false,
    autoboot: false,
    firewall_enabled: true,
    init_name: '/native/usr/vm/sbin/dockerinit',
    tmpfs: 0,
    zlog_max_size: maxLogBytes,
    ...(quota === undefined ? {} : { quota: Math.ceil(quota / bytesPerGiB) }),
    tags: { sdc_docker: true },
    internal_metadata: {
      'docker:imagename': imageName,
      'docker:imageid': configDigest,
      'docker:entrypoint': JSON.stringify(process.Entrypoint ?? []),
      'docker:cmd': JSON.stringify(process.Cmd ?? []),
      'docker:env': JSON.stringify(process.Env ?? []),
      'docker:user': process.User ?? '',
      'docker:workdir': process.WorkingDir || '/',
      'docker:logdriver': 'json-file',
      'docker:logconfig': '{}',
    },
  }
}
