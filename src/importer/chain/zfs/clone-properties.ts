import { join } from 'node:path'
import { isDomainError } from '../../../errors.ts'
import { type ChainId, parseChainId } from '../../../storage/chain-id.ts'
import type { Clone } from '../chain-store.ts'
import { parseCloneName } from '../clone-name.ts'
import { childOf, type DatasetTree, rootfsDirectory } from './dataset-names.ts'
import { chainProperty, type Listed, roleProperty } from './properties.ts'

/**
 * What a clone is made with. A zone runs setuid programs, but never reaches the host's devices.
 * @param quota bytes.
 */
export function clonePropertiesOf(chain: ChainId, quota: number | undefined): Record<string, string> {
  return {
    canmount: 'on',
    devices: 'off',
    setuid: 'on',
    exec: 'on',
    ...(quota === undefined ? {} : { quota: String(quota) }),
    [roleProperty]: 'clone',
    [chainProperty]: chain,
  }
}

/** `undefined` for what is not a clone of ours. */
export function readClone(tree: DatasetTree, listed: Listed): Clone | undefined {
  const chain = listed.local(chainProperty)
  const name = childOf(tree.clones, listed.name)
  if (listed.local(roleProperty) !== 'clone' || chain === undefined || name === undefined) return undefined
  const mountpoint = listed.get('mountpoint') ?? ''
  try {
    return {
      name: parseCloneName(name),
      chain: parseChainId(chain),
      dataset: listed.name,
      mountpoint,
      rootfs: join(mountpoint, rootfsDirectory),
      origin: listed.get('origin') ?? '',
      createdAt: new Date(Number(listed.get('creation') ?? 0) * 1000),
    }
  } catch (error) {
    // A name or chain ID that we could not have written.
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}
