import { randomBytes } from 'node:crypto'
import { DomainError } from '../../../errors.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import { hexOf } from '../../../storage/digest.ts'
import type { CloneName } from '../chain-store.ts'

/*
 * Every dataset and snapshot of a store, and the one place where their names are made:
 *
 *   ROOT                      POOL/varve, or what the operator chose; carries our mark, is never mounted
 *   ├── images                mounted, private: records/ of the images, claims/, locks/ of the lineages, spool/
 *   ├── chains                never mounted; hands devices=off, setuid=off, exec=off down to the lineages
 *   │   └── LINEAGE           16 random hex digits; mounted only while somebody builds on it
 *   │       └── @CHAIN        hex of the chain ID: one complete, verified chain of layers
 *   └── clones                never mounted
 *       └── NAME              a clone of some LINEAGE@CHAIN, mounted
 *
 * Image content is always in the directory root/ of a dataset, as in SmartOS, so that the dataset's `.zfs` is
 * never inside a stranger's tree.
 */

export type DatasetName = string & { readonly __brand: 'DatasetName' }
export type SnapshotName = string & { readonly __brand: 'SnapshotName' }

/** The directory of a dataset that becomes the image's `/`. */
export const rootfsDirectory = 'root'

export interface DatasetTree {
  readonly pool: string
  readonly root: DatasetName
  readonly images: DatasetName
  readonly chains: DatasetName
  readonly clones: DatasetName
}

/**
 * ZFS allows a name 255 bytes, its snapshot included (zfs(8)); a sha512 chain ID in a lineage is our longest.
 */
export const maxRootLength = 255 - '/chains/'.length - 16 - '@'.length - 128

/**
 * Fewer characters than zfs(8) allows: no space, no percent sign, and nothing that an option parser can
 * misread.
 */
const component = /[A-Za-z0-9_][A-Za-z0-9_.:-]*/.source
const rootPattern = new RegExp(`^[A-Za-z][A-Za-z0-9_.:-]*(?:/${component})*$`)
const lineagePattern = /^[0-9a-f]{16}$/

/**
 * Draws the tree of names below a pool (`tank`, whose store is `tank/varve`) or at a dataset (`tank/varve-
 * test`).
 * @throws DomainError `invalid`.
 */
export function datasetTreeAt(text: string): DatasetTree {
  const root = text.includes('/') ? text : `${text}/varve`
  if (root.length > maxRootLength || !rootPattern.test(root))
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, 140))} is not a pool or dataset for chains; write a pool such as tank, or a dataset such as tank/varve, of letters, digits and _ . : - and at most ${maxRootLength} characters.`,
      { resource: 'pool', name: text },
    )
  return {
    pool: root.slice(0, root.indexOf('/')),
    root: root as DatasetName,
    images: `${root}/images` as DatasetName,
    chains: `${root}/chains` as DatasetName,
    clones: `${root}/clones` as DatasetName,
  }
}

/** Random, because a lineage is found by its snapshots and a name must never come back. */
export function newLineage(tree: DatasetTree): DatasetName {
  return `${tree.chains}/${randomBytes(8).toString('hex')}` as DatasetName
}

export function chainSnapshot(lineage: DatasetName, chain: ChainId): SnapshotName {
  return `${lineage}@${hexOf(chain)}` as SnapshotName
}

export function cloneDataset(tree: DatasetTree, name: CloneName): DatasetName {
  return `${tree.clones}/${name}` as DatasetName
}

/** `name` when it names a lineage of this tree, whether or not the dataset carries our mark. */
export function asLineage(tree: DatasetTree, name: string): DatasetName | undefined {
  const id = childOf(tree.chains, name)
  return id !== undefined && lineagePattern.test(id) ? (name as DatasetName) : undefined
}

/** The last component of a direct child of `parent`. */
export function childOf(parent: string, name: string): string | undefined {
  if (!name.startsWith(`${parent}/`)) return undefined
  const rest = name.slice(parent.length + 1)
  return rest.includes('/') || rest.includes('@') ? undefined : rest
}

/** The last component of a dataset: what a lineage's lock is called. */
export function lastComponent(dataset: DatasetName): string {
  return dataset.slice(dataset.lastIndexOf('/') + 1)
}

/** Splits `dataset@snapshot`; `undefined` for what is no snapshot. */
export function splitSnapshot(
  name: string,
): { readonly dataset: string; readonly snapshot: string } | undefined {
  const at = name.indexOf('@')
  return at < 0 ? undefined : { dataset: name.slice(0, at), snapshot: name.slice(at + 1) }
}
