import type { ByteString } from './byte-string.ts'

/** Components below the layer's root, none of them empty, `.` or `..`. Empty: the root itself. */
export type LayerPath = readonly ByteString[]

export type LayerEntry = FileEntry | DirectoryEntry | SymlinkEntry | HardlinkEntry | DeviceEntry | FifoEntry

export interface Attributes {
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number
  /** 0 to 4294967294: the largest one means "leave it" to chown(2). */
  readonly uid: number
  readonly gid: number
  /** Seconds since 1970, never before; may have a fraction. */
  readonly mtime: number
  /** The layer's own time is before 1970 or beyond what file systems have, and `mtime` is the nearest one. */
  readonly clampedTime?: true | undefined
}

interface Located {
  readonly path: LayerPath
}

export interface FileEntry extends Located, Attributes {
  readonly type: 'file'
  /** Bytes of the file, holes included. */
  readonly size: number
  /**
   * The file's content: exactly `size` bytes, or those of its segments one after the other when it is sparse. Valid
   * until the next entry is asked for; need not be read.
   */
  readonly body: Content
  /** Of a sparse file: where its content goes, ascending and without overlap; all else are holes. */
  readonly segments?: readonly Segment[] | undefined
  readonly xattrs: readonly Xattr[]
}

/** May be read once. A chunk is valid until the next one is asked for. */
export interface Content extends AsyncIterable<Uint8Array> {
  /** All of it, where it is there already and nothing of it has been read; valid until the next entry is asked for. */
  readonly whole?: Uint8Array | undefined
}

/** Of a sparse file, in bytes. */
export interface Segment {
  readonly offset: number
  readonly length: number
}

/** An extended attribute as the layer has it. Empty values are legal and common. */
export interface Xattr {
  /** With its namespace, such as `security.capability`. */
  readonly name: ByteString
  readonly value: Uint8Array
}

export interface DirectoryEntry extends Located, Attributes {
  readonly type: 'directory'
  readonly xattrs: readonly Xattr[]
}

export interface SymlinkEntry extends Located, Attributes {
  readonly type: 'symlink'
  /** Verbatim: absolute or relative, with whatever components. */
  readonly target: ByteString
  readonly xattrs: readonly Xattr[]
}

/** Another name for a file that is there already. Its header's owner, mode and time mean nothing to us. */
export interface HardlinkEntry extends Located {
  readonly type: 'hardlink'
  readonly target: LayerPath
}

export interface DeviceEntry extends Located, Attributes {
  readonly type: 'device'
}

export interface FifoEntry extends Located, Attributes {
  readonly type: 'fifo'
}
