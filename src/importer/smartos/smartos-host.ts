/** What `node:os` says of a host. */
export interface Host {
  /** `os.type()`: `uname -s`. */
  readonly type: string
  /** `os.version()`: `uname -v`. */
  readonly version: string
}

/** imgadm(8): its database is below `images` there. */
const smartosImgadmDirectory = '/var/imgadm'

/**
 * Where imgadm's database is: as configured, else where SmartOS has it. Elsewhere there is no imgadm to read it.
 * A platform of SmartOS is SunOS and names itself `joyent_` and the time that it was built.
 */
export function imgadmDirectoryOf(configured: string | undefined, host: Host): string | undefined {
  if (configured !== undefined) return configured
  return host.type === 'SunOS' && host.version.startsWith('joyent_') ? smartosImgadmDirectory : undefined
}
