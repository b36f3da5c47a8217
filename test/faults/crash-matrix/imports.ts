import { checkImage, type MatrixImage, progressOfImage } from './images.ts'
import type { Operation } from './operation.ts'
import { crashMatrix, type MatrixContext } from './suite.ts'

/** The suite of an import that is killed at each of its `zfs` commands. */
export function importMatrix(title: string, image: MatrixImage): void {
  crashMatrix(title, [title], context => [importOf(title, image, context)])
}

function importOf(title: string, image: MatrixImage, { nameOf }: MatrixContext): Operation {
  const name = nameOf(image)
  return {
    title,
    work: { kind: 'import', image: name },
    progress: opened => progressOfImage(opened, image, name),
    check: ({ importer }) => checkImage(importer, name, image),
    reset: async ({ importer }) => {
      await importer.removeImage(name)
    },
  }
}
