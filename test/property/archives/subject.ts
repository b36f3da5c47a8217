import { execFileSync } from 'node:child_process'
import { type DomainError, isDomainError } from '../../../src/errors.ts'
import type { DirectoryXattrs } from '../../../src/importer/layer/apply-layer.ts'
import type { FileFinisher } from '../../../src/importer/layer/tree/file-finisher.ts'
import { LayerSandbox } from '../../support/layer-sandbox.ts'
import { listTree, type ListTreeOptions, type Tree } from '../../support/tree.ts'
import { searchPath } from '../../support/programs.ts'
import { listXattrs } from '../../support/xattrs.ts'
import { emptyRoot } from './oracle.ts'

export interface Applied {
  readonly tree: Tree
  /** Before the last layer that was given. */
  readonly lower: Tree
  readonly refusal: DomainError | undefined
  /** What the report of the last layer that was applied says. */
  readonly directoryXattrs: DirectoryXattrs | undefined
}

export interface SubjectOptions extends ListTreeOptions {
  /** Each layer is told nothing of the tree below, where an import tells it what it knows. */
  readonly forgetful?: boolean | undefined
}

/** Varve's own reader of layers, in a sandbox of its own that is used again for each archive. */
export class Subject implements Disposable {
  readonly #sandbox: LayerSandbox
  readonly #empty: Tree
  readonly #emptyXattrs: DirectoryXattrs | undefined

  readonly #finisher: FileFinisher

  /** @param parent where it is made. @param finisher has started; every other layer, by its size, is applied with it. */
  constructor(parent: string, finisher: FileFinisher) {
    this.#finisher = finisher
    this.#sandbox = new LayerSandbox(parent)
    const { rootfs } = this.#sandbox
    this.#emptyXattrs = listXattrs(rootfs).size === 0 ? 'none' : undefined
    emptyRoot(rootfs, new Map())
    this.#empty = listTree(rootfs)
  }

  /**
   * The tree that the layers make in an empty directory; up to the first one that is refused.
   * @throws whatever is neither a tree nor a refusal of what the layer is.
   */
  async apply(
    layers: readonly Uint8Array[],
    { forgetful = false, ...listing }: SubjectOptions = {},
  ): Promise<Applied> {
    const { rootfs } = this.#sandbox
    let lower = this.#empty
    let tree = lower
    let known = this.#emptyXattrs
    let refusal: DomainError | undefined
    try {
      for (const layer of layers) {
        lower = tree
        this.#sandbox.finisher = (layer.length / 512) % 2 < 1 ? undefined : this.#finisher
        const report = await this.#sandbox.apply(layer, {}, {}, forgetful ? undefined : known)
        known = report.directoryXattrs
        tree = listTree(rootfs, listing)
      }
    } catch (error) {
      // Nothing but the layer can be to blame here.
      if (!isDomainError(error, 'invalid', 'unsupported', 'too_large')) throw error
      refusal = error
    }
    emptyRoot(rootfs, refusal === undefined ? tree : listTree(rootfs))
    if (known !== 'none') clearXattrs(rootfs)
    return { tree, lower, refusal, directoryXattrs: known }
  }

  /** @throws when anything outside of the root has changed since the beginning. */
  assertOutsideUntouched(): void {
    this.#sandbox.assertOutsideUntouched()
  }

  [Symbol.dispose](): void {
    this.#sandbox[Symbol.dispose]()
  }
}

/** Of a root in which nothing is left. */
function clearXattrs(root: string): void {
  for (const attribute of listXattrs(root).get('.') ?? [])
    execFileSync('setfattr', ['-x', attribute.split('=', 1)[0] ?? '', root], { env: { PATH: searchPath } })
}
