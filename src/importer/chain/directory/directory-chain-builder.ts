import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import { checkParent, unknownChain } from '../chain-rules.ts'
import type { ChainBuilder, ChainSnapshot, CommitOptions, LayerFacts } from '../chain-store.ts'
import { copyTree } from './copy-tree.ts'
import { type DirectoryLayout, factsFileOf, rootfsOf } from './directory-layout.ts'
import { FlushAhead } from './flush-ahead.ts'
import { writeRecord } from './record-files.ts'
import { readSnapshot } from './snapshots.ts'
import { Staging } from './staging.ts'

/** Builds in a directory of its own; each commit but the last shares the files of that moment with it. */
export class DirectoryChainBuilder implements ChainBuilder {
  readonly rootfs: string
  readonly base: LayerFacts | undefined
  readonly #layout: DirectoryLayout
  readonly #staging: Staging
  readonly #flushing: FlushAhead
  #below: ChainId | null
  #ended = false
  /** The directory has become the last snapshot. */
  #isGivenAway = false

  constructor(layout: DirectoryLayout, staging: Staging, base: ChainSnapshot | undefined) {
    this.rootfs = rootfsOf(staging.directory)
    this.#layout = layout
    this.#staging = staging
    this.#flushing = new FlushAhead(staging.directory)
    this.base = base?.facts
    this.#below = base?.chain ?? null
  }

  async commit(chain: ChainId, facts: LayerFacts, options: CommitOptions = {}): Promise<ChainSnapshot> {
    options.signal?.throwIfAborted()
    if (this.#ended || this.#isGivenAway)
      throw new Error(`${this.rootfs}: commit after the last one, or after the builder was disposed`)
    checkParent(this.#below, chain, facts)
    const snapshot = (await readSnapshot(this.#layout, chain)) ?? (await this.#publish(chain, facts, options))
    this.#below = chain
    return snapshot
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#flushing[Symbol.dispose]()
    await this.#staging[Symbol.asyncDispose]()
  }

  async #publish(
    chain: ChainId,
    facts: LayerFacts,
    { isLast = false, ...options }: CommitOptions,
  ): Promise<ChainSnapshot> {
    if (isLast) {
      this.#flushing[Symbol.dispose]()
      await this.#publishFrom(this.#staging, chain, facts, options)
    } else {
      await using staging = await Staging.create(this.#layout)
      await copyTree(this.rootfs, rootfsOf(staging.directory), { ...options, files: 'share' })
      await this.#publishFrom(staging, chain, facts, options)
    }
    this.#isGivenAway = isLast
    const snapshot = await readSnapshot(this.#layout, chain)
    if (snapshot === undefined) throw unknownChain(chain)
    return snapshot
  }

  /** When another builder was faster, its snapshot is as good as ours. */
  async #publishFrom(staging: Staging, chain: ChainId, facts: LayerFacts, options: Abortable): Promise<void> {
    await writeRecord(factsFileOf(staging.directory), { chain, ...facts })
    await staging.publish(this.#layout.chain(chain), options)
  }
}
