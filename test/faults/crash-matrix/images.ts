import assert from 'node:assert/strict'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import type { Importer } from '../../../src/importer/importer.ts'
import { imageUuidOf } from '../../../src/importer/smartos/image-uuid.ts'
import { chainIdsOf } from '../../../src/storage/chain-id.ts'
import { digestOf, hexOf, parseDiffId } from '../../../src/storage/digest.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { readFiles } from '../../support/read-files.ts'
import { dir, file, gzipOf, tar, whiteout } from '../../support/tar.ts'
import type { Opened } from './operation.ts'

/** The files of an image, or of a clone. */
export type Content = Readonly<Record<string, string>>

export interface MatrixImage {
  readonly repository: string
  /** Base first: what each is called, and its tar. */
  readonly layers: readonly (readonly [name: string, tar: Buffer])[]
  readonly content: Content
}

const base = ['base', tar(dir('etc'), file('etc/name', 'base'), file('etc/old', 'old'))] as const
const above = ['above', tar(file('etc/name', 'above'))] as const
const branch = ['branch', tar(file('etc/name', 'branch'), file('etc/new', 'new'))] as const

/** Nobody works on these; they are there all the time, and have clones. */
export const bystander: MatrixImage = {
  repository: 'matrix/bystander',
  layers: [base, above],
  content: { 'etc/name': 'above', 'etc/old': 'old' },
}

/** Branches off where the bystander is in the middle. */
export const branching: MatrixImage = {
  repository: 'matrix/branching',
  layers: [base, branch],
  content: { 'etc/name': 'branch', 'etc/old': 'old', 'etc/new': 'new' },
}

/** Goes on where the bystander's lineage ends. */
export const continuing: MatrixImage = {
  repository: 'matrix/continuing',
  layers: [base, above, ['more', tar(file('etc/more', 'more'), whiteout('etc/old'))]],
  content: { 'etc/name': 'above', 'etc/more': 'more' },
}

/** Shares nothing. */
export const alone: MatrixImage = {
  repository: 'matrix/alone',
  layers: [
    ['first', tar(dir('etc'), file('etc/name', 'first'), file('etc/old', 'old'))],
    ['second', tar(file('etc/name', 'second'), whiteout('etc/old'))],
  ],
  content: { 'etc/name': 'second' },
}

export const allImages: readonly MatrixImage[] = [bystander, branching, continuing, alone]

/** Hex of the chain IDs, base first. */
export function chainsOf({ layers }: MatrixImage): string[] {
  return chainIdsOf(layers.map(([, tar]) => parseDiffId(digestOf(tar)))).map(hexOf)
}

/** Triton's name for it. */
export function uuidOf({ layers }: MatrixImage): string {
  return imageUuidOf(layers.map(([, tar]) => digestOf(gzipOf(tar))))
}

/** What each chain is called: by its top layer, for no two images have one layer on different ones. */
export function chainNames(): ReadonlyMap<string, string> {
  return new Map(
    allImages.flatMap(image =>
      chainsOf(image).map((hex, index) => [hex, image.layers[index]?.[0] ?? ''] as const),
    ),
  )
}

/** `2 of 2 layers, image listed`. */
export async function progressOfImage(
  { store, importer }: Opened,
  image: MatrixImage,
  name: string,
): Promise<string> {
  const chains = chainsOf(image)
  const there = (await Array.fromAsync(store.walk())).filter(
    found => found.kind === 'snapshot' && chains.includes(hexOf(found.chain)),
  ).length
  const listed = (await importer.images()).some(({ names }) => names.includes(name))
  return `${there} of ${chains.length} layers, image ${listed ? 'listed' : 'not listed'}`
}

/** Asserts that the image can be cloned, and that the clone is what it should be. */
export async function checkImage(importer: Importer, image: string, { content }: MatrixImage): Promise<void> {
  const { imported } = await importer.import({ image, platform: defaultPlatform })
  assert.equal(imported, 0)
  const name = parseCloneName('check')
  const { rootfs } = await importer.clone(image, name)
  assert.deepEqual(readFiles(rootfs), content)
  await importer.destroyClone(name)
}
