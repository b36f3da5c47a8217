import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ThreadedLayerEngine } from '../../../../src/importer/layer/engine/threaded-layer-engine.ts'
import { layerBlob, sourceOf } from '../../../support/layer-blobs.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { dir, file, gnuLong, tar } from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'
const kibibyte = 1024

/** Names that only a PAX header or a long name of GNU tells, so that it is of use after its piece of the stream is gone. */
function partsOf(index: number): { name: string; content: Buffer; parts: Buffer[] } {
  const name = `d${index % 7}/${`${index}-`.repeat(40).slice(0, 150)}${index}`
  const content = Buffer.alloc((index * 37) % 5000, `${index} `)
  const mtime = 1_600_000_000 + index
  const attributes = { mtime: mtime + (index % 3 === 0 ? 0.5 : 0) }
  const parts =
    index % 2 === 0
      ? [file(name, content, attributes)]
      : [gnuLong('L', name), file('short', content, { mtime })]
  return { name, content, parts }
}

describe('reading from the ring while it is filled', { skip, timeout: 120_000 }, () => {
  for (const bufferBytes of [4 * kibibyte, 64 * kibibyte, 8 * kibibyte * kibibyte])
    it(`a buffer of ${bufferBytes} bytes gives the same files as the archive has`, async () => {
      const files = Array.from({ length: 3000 }, (_, index) => partsOf(index))
      const directories = Array.from({ length: 7 }, (_, index) => dir(`d${index}`))
      const layer = layerBlob(tar(...directories, ...files.flatMap(({ parts }) => parts)))
      await using engine = new ThreadedLayerEngine({ bufferBytes })
      using sandbox = new LayerSandbox()
      const report = await engine.open(sourceOf(layer.bytes), layer.promise).applyTo(sandbox.rootfs)
      assert.equal(report.entries, files.length + directories.length)
      assert.equal(sandbox.names().length, files.length + directories.length)
      const digest = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')
      for (const { name, content } of files)
        assert.equal(digest(readFileSync(join(sandbox.rootfs, name))), digest(content), name)
    })
})
