/** A prune that is killed at each of its `zfs` commands. The table is in docs/crash-matrix.md. */
import assert from 'node:assert/strict'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { alone, bystander, chainsOf, progressOfImage } from './images.ts'
import type { Operation } from './operation.ts'
import { crashMatrix, type MatrixContext } from './suite.ts'

const title = 'Prune of an image without clones'

crashMatrix('prune', [title], context => [pruneOf(context)])

function pruneOf({ nameOf }: MatrixContext): Operation {
  const unused = nameOf(alone)
  return {
    title,
    work: { kind: 'prune' },
    prepare: async ({ importer }) => {
      await importer.import({ image: unused, platform: defaultPlatform })
    },
    progress: opened => progressOfImage(opened, alone, unused),
    check: async ({ importer }) => {
      const names = (await importer.images()).flatMap(image => image.names)
      assert.deepEqual(names, [nameOf(bystander)])
    },
    takes: chainsOf(alone),
  }
}
