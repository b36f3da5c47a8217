import { stat } from 'node:fs/promises'
import { isDomainError } from '../../../errors.ts'
import { unknownChain } from '../chain-rules.ts'
import type { ChainSnapshot } from '../chain-store.ts'
import { onDisk } from '../fs-errors.ts'
import { type CopyOptions, copyTree } from './copy-tree.ts'
import { rootfsOf } from './directory-layout.ts'

/**
 * Copies a chain's tree. A chain that is removed is taken out of its place before its files go, so what was copied is all of
 * it when the chain is in its place afterwards.
 * @param to must not be there yet.
 * @throws DomainError `not_found` when the chain was removed meanwhile.
 */
export async function copyChain(
  { chain, location }: ChainSnapshot,
  to: string,
  options: CopyOptions,
): Promise<void> {
  const before = await inodeOf(location)
  if (before === undefined) throw unknownChain(chain)
  try {
    await copyTree(rootfsOf(location), to, options)
  } catch (error) {
    options.signal?.throwIfAborted()
    throw (await inodeOf(location)) === before ? error : unknownChain(chain)
  }
  if ((await inodeOf(location)) !== before) throw unknownChain(chain)
}

/** undefined when there is nothing. */
async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await onDisk(path, () => stat(path, { bigint: true }))).ino
  } catch (error) {
    if (isDomainError(error, 'not_found')) return undefined
    throw error
  }
}
