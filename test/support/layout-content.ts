import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { DiffId } from '../../src/storage/digest.ts'
import { parseImageConfig } from '../../src/storage/image-config.ts'
import { blobPath, findTag, readManifest } from '../fixtures/image/oci-layout.ts'

/** What an image of a layout contains, however its layers were compressed on the way. */
export async function diffIdsOf(layout: string, tag: string): Promise<readonly DiffId[]> {
  const manifest = await readManifest(layout, (await findTag(layout, tag)).digest)
  assert.ok(manifest.kind === 'image')
  return parseImageConfig(await readFile(blobPath(layout, manifest.config.digest))).diffIds
}
