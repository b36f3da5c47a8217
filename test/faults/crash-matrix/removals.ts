import assert from 'node:assert/strict'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { bystander, chainsOf, type MatrixImage, progressOfImage } from './images.ts'
import type { Operation } from './operation.ts'
import { crashMatrix, type MatrixContext } from './suite.ts'

/** The suite of a removal that is killed at each of its `zfs` commands. */
export function removalMatrix(title: string, image: MatrixImage): void {
  crashMatrix(title, [title], context => [removalOf(title, image, context)])
}

function removalOf(title: string, image: MatrixImage, { nameOf }: MatrixContext): Operation {
  const name = nameOf(image)
  const shared = chainsOf(bystander)
  return {
    title,
    work: { kind: 'remove-image', image: name },
    prepare: async ({ importer }) => {
      await importer.import({ image: name, platform: defaultPlatform })
    },
    progress: opened => progressOfImage(opened, image, name),
    check: async ({ importer }) => {
      assert.ok((await importer.images()).every(({ names }) => !names.includes(name)))
    },
    takes: chainsOf(image).filter(chain => !shared.includes(chain)),
  }
}
