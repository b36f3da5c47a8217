import type { ZfsCapabilities, ZfsHost } from './capabilities.ts'
import { features } from './check-features.ts'
import type { DatasetTree } from './dataset-names.ts'
import type { Listed } from './properties.ts'
import { roleProperty } from './properties.ts'

/** One line of `varve zfs check`. */
export interface Finding {
  readonly name: string
  readonly found: string
  /** `problem`: Varve cannot work so. `note`: it can, with less. */
  readonly result: 'ok' | 'note' | 'problem'
  /** What Varve does with it, or what to do about it. */
  readonly consequence: string
}

/** All that was asked of the pool; what could not be answered is empty. */
export interface Examined {
  readonly tree: DatasetTree
  readonly capabilities: ZfsCapabilities
  readonly host: ZfsHost
  /** Of `zpool get all`. */
  readonly pool: ReadonlyMap<string, string>
  /** What `zfs` prints without arguments: its commands and their options. */
  readonly usage: string
  /** The store's root, or the nearest dataset above it that is there. */
  readonly nearest: Listed
  readonly isRoot: boolean
}

/** Bytes; with less an import of a usual image does not fit. */
const littleBytes = 1024 ** 3

export function findingsOf(examined: Examined): Finding[] {
  return [
    implementation(examined),
    ...health(examined),
    ...place(examined),
    ...names(examined),
    mounting(examined),
    ...features(examined),
  ]
}

function implementation({ capabilities, pool }: Examined): Finding {
  const { kind, version, kernelVersion } = capabilities.implementation
  const poolVersion = pool.get('version')
  const found = [
    kind,
    version,
    kernelVersion && `kernel module ${kernelVersion}`,
    poolVersion !== undefined && poolVersion !== '-' ? `pool version ${poolVersion}` : undefined,
  ]
    .filter(part => part !== undefined)
    .join(' ')
  const name = 'implementation'
  if (kind === 'zfs-fuse')
    return {
      name,
      found,
      result: 'note',
      consequence: 'changes go one by one, for two that mount deadlock; for tests only',
    }
  if (kernelVersion !== undefined)
    return {
      name,
      found,
      result: 'note',
      consequence: 'programs and kernel module differ; restart after an upgrade',
    }
  return { name, found, result: 'ok', consequence: 'up to 8 changes at once' }
}

function health({ pool, nearest }: Examined): Finding[] {
  const health = pool.get('health') ?? 'unknown'
  const free = Number(nearest.get('available') ?? Number.NaN)
  return [
    {
      name: 'pool health',
      found: health,
      result: health === 'ONLINE' ? 'ok' : health === 'DEGRADED' || health === 'unknown' ? 'note' : 'problem',
      consequence: health === 'ONLINE' ? 'nothing to do' : 'zpool status shows what is wrong',
    },
    {
      name: 'pool is writable',
      found: pool.get('readonly') === 'on' ? 'no' : 'yes',
      ...(pool.get('readonly') === 'on'
        ? { result: 'problem', consequence: 'import the pool without readonly=on' }
        : { result: 'ok', consequence: 'nothing to do' }),
    },
    {
      name: 'free space',
      found: Number.isNaN(free) ? 'unknown' : `${free} bytes`,
      result: free < littleBytes ? 'note' : 'ok',
      consequence: free < littleBytes ? 'varve prune makes room' : 'nothing to do',
    },
  ]
}

function place({ tree, nearest, isRoot, capabilities }: Examined): Finding[] {
  const isForeign = isRoot && nearest.local(roleProperty) !== 'root'
  const keys = nearest.get('keystatus')
  const store: Finding = {
    name: 'store',
    found: isForeign ? `${tree.root} is not ours` : isRoot ? tree.root : 'none yet',
    result: isForeign ? 'problem' : 'ok',
    consequence: isForeign
      ? `it lacks ${roleProperty}=root: choose another dataset with --pool`
      : isRoot
        ? 'is used'
        : `${tree.root} is made by the first command that needs it`,
  }
  if (!capabilities.properties.has('encryption')) return [store]
  return [
    store,
    {
      name: 'encryption',
      found: `${nearest.get('encryption') ?? 'off'}${keys === undefined ? '' : `, key ${keys}`}`,
      result: keys === 'unavailable' ? 'problem' : 'ok',
      consequence: keys === 'unavailable' ? `zfs load-key, and mount again` : 'nothing to do',
    },
  ]
}

/** Of names of files: what merges or refuses some cannot hold every image. They can only be set when a dataset is made. */
const harmless: Readonly<Record<string, string>> = {
  casesensitivity: 'sensitive',
  normalization: 'none',
  utf8only: 'off',
}

function names({ nearest, isRoot }: Examined): Finding[] {
  return Object.entries(harmless).map(([name, wanted]) => {
    const found = nearest.get(name) ?? wanted
    if (found === wanted)
      return { name, found, result: 'ok', consequence: 'every name that an image has can be kept' }
    return isRoot
      ? {
          name,
          found,
          result: 'problem',
          consequence: `images with other names fail; make the store anew with ${name}=${wanted}`,
        }
      : { name, found, result: 'ok', consequence: `the store is made with ${wanted}` }
  })
}

function mounting({ nearest }: Examined): Finding {
  const mountpoint = nearest.get('mountpoint') ?? 'none'
  const isPath = mountpoint.startsWith('/')
  const isRootUser = process.geteuid?.() === 0
  return {
    name: 'mounting',
    found: `at ${mountpoint}, as ${isRootUser ? 'root' : 'another user'}`,
    result: isPath && isRootUser ? 'ok' : 'problem',
    consequence: !isRootUser
      ? 'run Varve as root'
      : isPath
        ? 'clones are below it'
        : `give ${nearest.name} a directory with zfs set mountpoint=…`,
  }
}
