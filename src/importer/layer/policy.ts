/**
 * What becomes of the things in a layer that a host may not want to have. Whatever is not made is counted and reported.
 */
export interface LayerPolicy {
  /**
   * Device nodes are never made: a stranger's image may not name the host's devices. `empty-file` puts an empty file
   * of the same owner, mode and time in their place, as imgadm does.
   */
  readonly devices: 'skip' | 'empty-file' | 'refuse'
  readonly fifos: 'make' | 'skip' | 'refuse'
  /** `keep`: those that mean something in a container, where the file system has them; `drop`: none. */
  readonly xattrs: 'keep' | 'drop'
}

export const defaultLayerPolicy: LayerPolicy = Object.freeze({
  devices: 'skip',
  fifos: 'make',
  xattrs: 'keep',
})
