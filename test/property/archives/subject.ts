import { type DomainError, isDomainError } from '../../../src/errors.ts'
import { LayerSandbox } from '../../support/layer-sandbox.ts'
import { listTree, type Tree } from '../../support/tree.ts'
import { emptyRoot } from './oracle.ts'

export interface Applied {
  readonly tree: Tree
  /** Before the last layer that was given. */
  readonly lower: Tree
  readonly refusal: DomainError | undefined
}

/** Varve's own reader of layers, in a sandbox of its own that is used again for each archive. */
export class Subject implements Disposable {
  readonly #sandbox: LayerSandbox
  readonly #empty: Tree

  /** @param parent where it is made. */
  constructor(parent: string) {
    this.#sandbox = new LayerSandbox(parent)
    emptyRoot(this.#sandbox.rootfs, new Map())
    this.#empty = listTree(this.#sandbox.rootfs)
  }

  /**
   * The tree that the layers make in an empty directory; up to the first one that is refused.
   * @throws whatever is neither a tree nor a refusal of what the layer is.
   */
  async apply(layers: readonly Uint8Array[]): Promise<Applied> {
    const { rootfs } = this.#sandbox
    let lower = this.#empty
    let tree = lower
    let refusal: DomainError | undefined
    try {
      for (const layer of layers) {
        lower = tree
        await this.#sandbox.apply(layer)
        tree = listTree(rootfs)
      }
    } catch (error) {
      // Nothing but the layer can be to blame here.
      if (!isDomainError(error, 'invalid', 'unsupported', 'too_large')) throw error
      refusal = error
    }
    emptyRoot(rootfs, refusal === undefined ? tree : listTree(rootfs))
    return { tree, lower, refusal }
  }

  /** @throws when anything outside of the root has changed since the beginning. */
  assertOutsideUntouched(): void {
    this.#sandbox.assertOutsideUntouched()
  }

  [Symbol.dispose](): void {
    this.#sandbox[Symbol.dispose]()
  }
}
