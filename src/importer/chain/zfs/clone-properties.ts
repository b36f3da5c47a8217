import { join } from 'node:path'
import { isDomainError } from '../../../errors.ts'
import { parseChainId } from '../../../storage/chain-id.ts'
import { parseDigest } from '../../../storage/digest.ts'
import type { Clone } from '../chain-store.ts'
import { parseCloneName } from '../clone-name.ts'
import { childOf, type DatasetTree, rootfsDirectory } from './dataset-names.ts'
import { chainProperty, createdProperty, type Listed, manifestProperty, roleProperty } from './properties.ts'

/** What is remembered with a clone, and told about it. */
export type CloneFacts = Pick<Clone, 'chain' | 'createdAt' | 'manifestDigest'>

/**
 * What a clone is made with. A zone runs setuid programs, but never reaches the host's devices.
 * @param asked may take rights away.
 */
export function clonePropertiesOf(
  { chain, createdAt, manifestDigest }: CloneFacts,
  asked: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    canmount: 'on',
    setuid: 'on',
    exec: 'on',
    ...asked,
    devices: 'off',
    [roleProperty]: 'clone',
    [chainProperty]: chain,
    [createdProperty]: createdAt.toISOString(),
    ...(manifestDigest === undefined ? {} : { [manifestProperty]: manifestDigest }),
  }
}

/** What {@link readClone} would answer for a clone that was just made. */
export function madeClone(
  { mountpoint, ...names }: Pick<Clone, 'name' | 'dataset' | 'origin' | 'mountpoint'>,
  asked: Readonly<Record<string, string>>,
  { chain, createdAt, manifestDigest }: CloneFacts,
): Clone {
  const quota = Number(asked['quota'] ?? 0)
  return {
    ...names,
    chain,
    mountpoint,
    rootfs: join(mountpoint, rootfsDirectory),
    createdAt,
    ...(manifestDigest === undefined ? {} : { manifestDigest }),
    ...(quota > 0 ? { quota } : {}),
  }
}

/** `undefined` for what is not a clone of ours. */
export function readClone(tree: DatasetTree, listed: Listed): Clone | undefined {
  const chain = listed.local(chainProperty)
  const name = childOf(tree.clones, listed.name)
  if (listed.local(roleProperty) !== 'clone' || chain === undefined || name === undefined) return undefined
  const mountpoint = listed.get('mountpoint') ?? ''
  const manifest = listed.local(manifestProperty)
  const quota = Number(listed.get('quota') ?? 0)
  try {
    return {
      name: parseCloneName(name),
      chain: parseChainId(chain),
      dataset: listed.name,
      mountpoint,
      rootfs: join(mountpoint, rootfsDirectory),
      origin: listed.get('origin') ?? '',
      createdAt: createdAt(listed),
      ...(manifest === undefined ? {} : { manifestDigest: parseDigest(manifest) }),
      // 0, or none, is no limit.
      ...(quota > 0 ? { quota } : {}),
    }
  } catch (error) {
    // A name or chain ID that we could not have written.
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}

/** As it was told to whoever made the clone; ZFS itself, which knows of older ones, has only seconds. */
function createdAt(listed: Listed): Date {
  const told = new Date(listed.local(createdProperty) ?? Number.NaN)
  return Number.isNaN(told.getTime()) ? new Date(Number(listed.get('creation') ?? 0) * 1000) : told
}
