import { isDomainError } from '../../../errors.ts'
import { namesPerCommand, type ZfsCommand } from './zfs-command.ts'

/** The tag of our holds, as `zfs holds` shows it. */
export const holdTag = 'varve'

/**
 * Holds on the snapshots of chains (zfs-hold(8)): with one, neither an operator's `zfs destroy -r` nor a program that prunes
 * snapshots takes it. They protect and decide nothing, so a pool without them (before version 18) does as well.
 */
export class Holds {
  readonly #zfs: ZfsCommand
  #arePossible = true

  constructor(zfs: ZfsCommand) {
    this.#zfs = zfs
  }

  /** Whether it is worth asking for them: until the pool turns out to have none. */
  get arePossible(): boolean {
    return this.#arePossible
  }

  /** Idempotent. What is gone meanwhile needs no hold. */
  async hold(snapshots: readonly string[]): Promise<void> {
    for (let from = 0; from < snapshots.length && this.#arePossible; from += namesPerCommand)
      await this.#hold(snapshots.slice(from, from + namesPerCommand))
  }

  async #hold(snapshots: readonly string[]): Promise<void> {
    const [first = '', ...others] = snapshots
    try {
      await this.#zfs.change({ resource: 'chain', name: first }, ['hold', holdTag, ...snapshots])
    } catch (error) {
      if (isDomainError(error, 'unsupported')) this.#arePossible = false
      else if (!isDomainError(error, 'already_exists', 'not_found')) throw error
      // One that is held already, or gone, may have kept the others from being held.
      else if (others.length > 0) for (const snapshot of snapshots) await this.#hold([snapshot])
    }
  }

  /**
   * Answers whether the snapshot can be destroyed as far as holds go: not, while somebody else holds it.
   * @param count how many holds it has.
   */
  async release(snapshot: string, count: number): Promise<boolean> {
    if (count !== 1) return count === 0
    try {
      await this.#zfs.change({ resource: 'chain', name: snapshot }, ['release', holdTag, snapshot])
      return true
    } catch (error) {
      // The one hold is not ours. A snapshot that is gone is what a removal wants.
      if (isDomainError(error, 'not_found')) return isGone(error)
      throw error
    }
  }
}

function isGone(error: Error): boolean {
  return !/no such tag/i.test(error.message)
}
