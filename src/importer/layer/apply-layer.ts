import type { Readable } from 'node:stream'
import type { Abortable } from '../../storage/abortable.ts'
import type { LayerLimits } from './limits.ts'
import type { LayerPolicy } from './policy.ts'

/**
 * Applies one layer, an uncompressed tar stream, on top of what `rootfs` has: a directory that exists, private to
 * root, in which nothing else writes meanwhile. Nothing outside of it is read or changed, whatever the layer says.
 *
 * Success means that the stream was read to its end, so whatever verifies it there has agreed. After a failure or
 * an abort the tree is in between and of no use; `tar` has been destroyed either way.
 *
 * The same layers on the same tree give the same names, types, content, owners, modes and times, always:
 * - Whiteouts hide the layers below and nothing of their own layer, wherever in the layer they stand.
 * - A directory over a directory merges. All else is removed and made anew, so other names of a file stay as
 *   they are.
 * - Directories that the layer only implies are made `root:root 0755` with time 0. Directories of the layers below
 *   that only had their content changed keep their time.
 * - A hard link changes nothing in its target; its own owner, mode and time are ignored.
 * - Device nodes, FIFOs and extended attributes are treated as `options.policy` says; what is left out is counted.
 *
 * Sources: OCI image-spec layer.md, "Changesets" and "Whiteouts".
 * @throws DomainError `invalid`, `unsupported` or `too_large` for the layer's own fault, `no_space`, `denied` and
 * `unavailable` for the host's, `conflict` when somebody else changed the tree; and whatever `tar` fails with.
 */
export type ApplyLayer = (rootfs: string, tar: Readable, options: ApplyOptions) => Promise<LayerReport>

export interface ApplyOptions extends Abortable {
  readonly limits: LayerLimits
  readonly policy?: LayerPolicy | undefined
  /** What is known of `rootfs` as it is; a wrong `none` would leave ACLs and other attributes that nobody has asked for. */
  readonly lowerDirectoryXattrs?: DirectoryXattrs | undefined
  /** Milliseconds since some moment, never backwards: what `limits.maxSeconds` is measured with. */
  readonly now?: (() => number) | undefined
  /** Called now and then, with what has been applied so far. */
  readonly onProgress?: ((report: LayerReport) => void) | undefined
}

/** What applying one layer did. Plain data: it is kept with the snapshot and shown by `varve inspect`. */
export interface LayerReport {
  /** Of every kind, whiteouts included. */
  readonly entries: number
  /** Bytes of file content, holes not counted. */
  readonly bytes: number
  /** Whiteouts and opaque whiteouts. */
  readonly whiteouts: number
  /** Device nodes that were not made, those with an empty file in their place included. */
  readonly skippedDevices: number
  /** FIFOs that were not made. */
  readonly skippedFifos: number
  /** Extended attributes that were not set. */
  readonly droppedXattrs: number
  /** Of the whole tree, the layers below included; absent when it is not known that there are none. */
  readonly directoryXattrs?: DirectoryXattrs | undefined
  /** One for each code that occurred, in the order in which they did. */
  readonly warnings: readonly LayerWarning[]
}

/**
 * What is known of a tree's directories: `none` of them has an ACL, or another extended attribute that a layer could have
 * given it. So nothing hands ACLs down, and nothing has to be removed from a directory that an entry describes.
 */
export type DirectoryXattrs = 'none'

/** Something in the layer that the tree does not have as the layer says it, or that no builder should write. */
export interface LayerWarning {
  readonly code: LayerWarningCode
  readonly count: number
  /** The first one or few, for people: printable, cut when long. */
  readonly examples: readonly string[]
}

export type LayerWarningCode =
  /** A device node was left out. */
  | 'device-skipped'
  /** A device node became an empty file. */
  | 'device-replaced'
  | 'fifo-skipped'
  /** The file system, or this host, has no extended attributes, or none of this name, size or value. */
  | 'xattr-unsupported'
  /** An extended attribute that a stranger's image may not set, such as `trusted.overlay.opaque`. */
  | 'xattr-refused'
  /** A time that the file system does not have: the nearest one was set. */
  | 'time-clamped'
  /** What the AUFS driver of old left in layers; never content. */
  | 'aufs-leftover'
  /** A global PAX header; it means nothing to any reader of layers. */
  | 'global-header'
