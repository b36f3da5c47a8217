import { existsSync } from 'node:fs'
import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ZfsCommand } from './zfs-command.ts'
import { type Subject, stderrOf, stdoutOf } from './zfs-errors.ts'

export type ZfsKind = 'openzfs' | 'illumos' | 'zfs-fuse' | 'unknown'

/** What runs here. */
export interface ZfsImplementation {
  readonly kind: ZfsKind
  /** As `zfs version` says it, such as `2.3.1`; absent where there is no such command. */
  readonly version?: string | undefined
  /** Of the kernel's part, where that is another one. */
  readonly kernelVersion?: string | undefined
}

export interface ZfsCapabilities {
  readonly implementation: ZfsImplementation
  /** Every property of a dataset that this ZFS knows, with its value. */
  readonly properties: ReadonlyMap<string, string>
}

/** Where a program runs, as far as it says what kind of ZFS there is. */
export interface ZfsHost {
  readonly platform: NodeJS.Platform
  /** Whether there is `/dev/zfs`, through which every ZFS is reached that is part of a kernel. */
  readonly hasDevice: boolean
}

export const thisHost = (): ZfsHost => ({ platform: process.platform, hasDevice: existsSync('/dev/zfs') })

/**
 * Finds out what runs here, with two commands that change nothing.
 * @param dataset any of the pool's, or the pool.
 */
export async function probeCapabilities(
  zfs: ZfsCommand,
  dataset: string,
  options: Abortable = {},
): Promise<ZfsCapabilities> {
  const subject = { resource: 'pool', name: dataset } as const
  const listing = await zfs.read(subject, ['get', '-Hp', '-o', 'property,value', 'all', dataset], options)
  const said = await outputOf(zfs, subject, ['version'], options)
  return {
    implementation: implementationOf(said.stdout, thisHost()),
    properties: parseProperties(listing),
  }
}

/** What a command prints, whether this ZFS knows it or not: one that does not know prints its usage. */
export async function outputOf(
  zfs: ZfsCommand,
  subject: Subject,
  args: readonly string[],
  options: Abortable = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  try {
    return { stdout: await zfs.read(subject, args, options), stderr: '' }
  } catch (error) {
    if (!isDomainError(error)) throw error
    return { stdout: stdoutOf(error.cause), stderr: stderrOf(error.cause) }
  }
}

/** Reads `zfs version`: `zfs-2.3.1-1`, and on a line of its own `zfs-kmod-2.3.1-1`. */
export function implementationOf(versionOutput: string, host: ZfsHost): ZfsImplementation {
  const version = /^zfs-v?(\d[\w.]*)/m.exec(versionOutput)?.[1]
  const kernelVersion = /^zfs-kmod-v?(\d[\w.]*)/m.exec(versionOutput)?.[1]
  const kind = kindOf(version, host)
  return { kind, version, ...(kernelVersion === version ? {} : { kernelVersion }) }
}

function kindOf(version: string | undefined, { platform, hasDevice }: ZfsHost): ZfsKind {
  if (platform === 'sunos') return 'illumos'
  // Before 0.8 there was no `zfs version`, but a kernel module.
  if (version !== undefined || hasDevice) return 'openzfs'
  return platform === 'linux' ? 'zfs-fuse' : 'unknown'
}

/** Reads `zfs get -H -o property,value all` and `zpool get` likewise. */
export function parseProperties(stdout: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const line of stdout.split('\n')) {
    const [property = '', ...value] = line.split('\t')
    if (property !== '' && value.length > 0) found.set(property, value.join('\t'))
  }
  return found
}

/**
 * What a store's datasets are made with where the pool can: extended attributes in the inode (a directory for each file's
 * would be hidden files, and slow), POSIX ACLs, which layers have, and nothing of what a parent may have that makes streams
 * unreadable elsewhere or shows `.zfs`. And none is mounted over what a directory holds, as everywhere but in OpenZFS since
 * 2.0: what appears at a clone's mountpoint between our look and the mount would be hidden.
 */
export function layerPropertiesFor(
  { implementation, properties }: ZfsCapabilities,
  { platform }: Pick<ZfsHost, 'platform'> = thisHost(),
): Record<string, string> {
  const isOpenZfsOnLinux = implementation.kind === 'openzfs' && platform === 'linux'
  const wanted: Record<string, string> = {
    snapdir: 'hidden',
    dnodesize: 'legacy',
    overlay: 'off',
    // The older of its two names is understood by all.
    ...(isOpenZfsOnLinux ? { xattr: 'sa', acltype: 'posixacl' } : {}),
  }
  return Object.fromEntries(Object.entries(wanted).filter(([property]) => properties.has(property)))
}
