import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { ThreadedLayerEngine } from '../../../src/importer/layer/engine/threaded-layer-engine.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { RegistryImageSource } from '../../../src/storage/remote/registry-image-source.ts'
import { openStore } from '../../fixtures/programs/change-pool.ts'
import { compareTrees } from '../../support/compare-trees.ts'
import { importerOver } from '../../support/importer-over.ts'
import { skipWithout } from '../../support/programs.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { pushTestImage } from '../../support/test-images.ts'
import { listTree, type Tree } from '../../support/tree.ts'
import { createPool, type TestPool, zfs } from '../../support/zfs.ts'
import { checkDocument } from './document.ts'
import { allImages, bystander, chainNames, type MatrixImage } from './images.ts'
import { type Place, runMatrix } from './matrix.ts'
import type { Operation } from './operation.ts'
import { writePatientZfs } from './shims.ts'
import { Victims } from './victims.ts'

/** What the operations of a suite are made from. */
export interface MatrixContext {
  readonly pool: TestPool
  /** Where imgadm keeps its records. */
  readonly imgadm: string
  /** The name by which an image is imported. */
  readonly nameOf: (image: MatrixImage) => string
}

/** Runs operations one after the other in one store, which has an image and a clone that none of them is about. */
export function crashMatrix(
  suite: string,
  titles: readonly string[],
  operationsOf: (context: MatrixContext) => readonly Operation[],
): void {
  describe(`crash matrix: ${suite}`, { timeout: 900_000 }, async () => {
    const skip = await skipWithout('zfs')
    const stack = new AsyncDisposableStack()
    let place: Place
    let operations: readonly Operation[] = []
    let watched: { readonly rootfs: string; readonly tree: Tree }

    before(async () => {
      if (skip !== false) return
      const directory = stack.use(await temporaryDirectory())
      const registry = stack.use(await startRegistry())
      const client = new RegistryClient(registry.url)
      for (const { repository, layers } of allImages)
        await pushTestImage(client, repository, '1', { layers: layers.map(([, tar]) => tar) })
      const pool = await createPool()
      stack.defer(() => pool.destroy())
      const nameOf = ({ repository }: MatrixImage) => `${new URL(registry.url).host}/${repository}:1`
      const imgadm = join(directory.path, 'imgadm')
      await mkdir(imgadm)
      place = {
        names: { dataset: `${pool.name}/varve`, chains: chainNames() },
        records: `${pool.mountpoint}/varve/images/records`,
        imgadm,
        directory: directory.path,
        zfs: await writePatientZfs(directory.path),
        victims: stack.use(new Victims()),
        engine: stack.use(new ThreadedLayerEngine({ idleMs: 600_000 })),
      }
      operations = operationsOf({ pool, imgadm, nameOf })
      watched = await makeBystander(place, nameOf(bystander))
    })
    after(() => stack.disposeAsync())

    for (const title of titles)
      it(title, { skip }, async context => {
        const operation = operations.find(other => other.title === title)
        assert.ok(operation)
        const rows = await runMatrix(place, operation)
        assert.deepEqual(compareTrees(listTree(watched.rootfs), watched.tree), [])
        await checkDocument(context, title, rows)
      })
  })
}

async function makeBystander(
  { names, zfs: program, imgadm, engine }: Place,
  image: string,
): Promise<{ readonly rootfs: string; readonly tree: Tree }> {
  const store = await openStore({ program, dataset: names.dataset, imgadm })
  const source = new RegistryImageSource()
  await using importer = await importerOver(store, { engine, source, owned: [source] })
  await importer.import({ image, platform: defaultPlatform })
  const { dataset, rootfs } = await importer.clone(image, parseCloneName('bystander'))
  // zfs-fuse renames no dataset that a mounted clone was made from, unless the clone has a snapshot of its own. OpenZFS does.
  await zfs('snapshot', `${dataset}@own`)
  return { rootfs, tree: listTree(rootfs) }
}
