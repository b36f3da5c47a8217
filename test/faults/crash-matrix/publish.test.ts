/** Publishing an image to SmartOS and taking it back, killed at each of the `zfs` commands. The tables are in docs/crash-matrix.md. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import type { PublishedImage } from '../../../src/importer/import-service.ts'
import type { Importer } from '../../../src/importer/importer.ts'
import { bystander, uuidOf } from './images.ts'
import type { Operation } from './operation.ts'
import { crashMatrix, type MatrixContext } from './suite.ts'

const titles = ['Publishing an image', 'Taking a published image back'] as const

crashMatrix('publications', titles, context => [
  publishOf(titles[0], context),
  unpublishOf(titles[1], context),
])

function publishOf(title: string, { nameOf, imgadm }: MatrixContext): Operation {
  return {
    title,
    work: { kind: 'publish', image: nameOf(bystander) },
    progress: ({ importer }) => progress(importer, imgadm),
    check: async ({ importer }) => {
      assert.equal(await progress(importer, imgadm), 'published, 1 manifest')
    },
    reset: async ({ importer }) => {
      for (const { uuid } of await importer.published()) await importer.unpublish(uuid)
    },
  }
}

function unpublishOf(title: string, { nameOf, imgadm }: MatrixContext): Operation {
  const uuid = uuidOf(bystander)
  return {
    title,
    work: { kind: 'unpublish', uuid },
    prepare: async ({ importer }) => {
      await importer.publish(nameOf(bystander))
    },
    progress: ({ importer }) => progress(importer, imgadm),
    check: async ({ importer }) => {
      assert.equal(await progress(importer, imgadm), 'not published, 0 manifests')
    },
    takes: [`/${uuid}`, 'final'],
  }
}

async function progress(importer: Importer, imgadm: string): Promise<string> {
  const published: readonly PublishedImage[] = await importer.published()
  const manifests = globSync('images/*', { cwd: imgadm }).length
  return `${published.length === 0 ? 'not published' : 'published'}, ${manifests} manifest${manifests === 1 ? '' : 's'}`
}
