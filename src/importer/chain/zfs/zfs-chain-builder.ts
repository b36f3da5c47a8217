import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import { checkParent } from '../chain-rules.ts'
import type { ChainBuilder, ChainSnapshot, CommitOptions, LayerFacts } from '../chain-store.ts'
import type { KeyedQueue } from '../keyed-queue.ts'
import type { Build, Builds } from './builds.ts'
import type { ChainIndex } from './chain-index.ts'
import type { LineageDatasets } from './lineage-datasets.ts'

/** What a builder shares with all others of its store. */
export interface BuilderContext {
  readonly datasets: LineageDatasets
  readonly builds: Builds
  readonly index: ChainIndex
  /** Commits that are running, so that one chain is not given two snapshots by one process. */
  readonly committing: KeyedQueue<ChainId>
}

/** Builds in one lineage, which it alone may change until it is disposed. */
export class ZfsChainBuilder implements ChainBuilder {
  readonly rootfs: string
  readonly base: LayerFacts | undefined
  readonly #context: BuilderContext
  readonly #build: Build
  #below: ChainId | null
  #ended = false

  constructor(context: BuilderContext, build: Build) {
    this.rootfs = build.rootfs
    this.base = build.base?.facts
    this.#context = context
    this.#build = build
    this.#below = build.base?.chain ?? null
  }

  /**
   * The snapshot's existence is the commit, and its facts come with it in one transaction (zfs-snapshot(8),
   * `-o`). A snapshot holds all that was written before it, so nothing is flushed or unmounted.
   */
  async commit(chain: ChainId, facts: LayerFacts, options: CommitOptions = {}): Promise<ChainSnapshot> {
    options.signal?.throwIfAborted()
    if (this.#ended) throw new Error(`${this.#build.lineage.dataset}: commit after the builder was disposed`)
    checkParent(this.#below, chain, facts)
    const { committing, index } = this.#context
    const snapshot = await committing.run(
      chain,
      async () => index.find(chain) ?? (await this.#snapshot(chain, facts, options)),
    )
    this.#below = chain
    return snapshot
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#context.builds.end(this.#build)
  }

  async #snapshot(chain: ChainId, facts: LayerFacts, options: Abortable): Promise<ChainSnapshot> {
    const build = this.#build
    const snapshot = await this.#context.datasets.snapshot(build.lineage.dataset, chain, facts, options)
    build.since = Date.now()
    const { snapshots, holds } = build.lineage
    build.lineage = {
      ...build.lineage,
      snapshots: [...snapshots, snapshot],
      holds: new Map([...holds, [snapshot.location, 0]]),
    }
    this.#context.index.put(build.lineage)
    return snapshot
  }
}
