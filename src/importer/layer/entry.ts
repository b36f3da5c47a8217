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
}

interface Located {
  readonly path: LayerPath
}

export interface FileEntry extends Located, Attributes {
  readonly type: 'file'
  /** Bytes. */
  readonly size: number
  /** Exactly `size` bytes. Valid until the next entry is asked for; need not be read. */
  readonly body: AsyncIterable<Uint8Array>
  readonly xattrs: number
}

export interface DirectoryEntry extends Located, Attributes {
  readonly type: 'directory'
  readonly xattrs: number
}

export interface SymlinkEntry extends Located, Attributes {
  readonly type: 'symlink'
  /** Verbatim: absolute or relative, with whatever components. */
  readonly target: ByteString
  readonly xattrs: number
}

/** Another name for a file that is there already. Its header's owner, mode and time mean nothing to us. */
export interface HardlinkEntry extends Located {
  readonly type: 'hardlink'
  readonly target: LayerPath
}

export interface DeviceEntry extends Located {
  readonly type: 'device'
}

export interface FifoEntry extends Located {
  readonly type: 'fifo'
}
