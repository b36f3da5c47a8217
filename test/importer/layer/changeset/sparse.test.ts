import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LayerApplier } from '../../../../src/importer/layer/changeset/layer-applier.ts'
import { encodeText } from '../../../../src/importer/layer/byte-string.ts'
import type { FileEntry, Segment } from '../../../../src/importer/layer/entry.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { RootTree } from '../../../../src/importer/layer/tree/root-tree.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

/** Yields views of one piece of memory that is overwritten as soon as the next one is asked for. */
async function* inReusedMemory(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(step)
  for (let offset = 0; offset < bytes.length; offset += step) {
    const piece = bytes.subarray(offset, offset + step)
    memory.set(piece)
    yield memory.subarray(0, piece.length)
    memory.fill('!')
  }
}

function fileOf(content: Uint8Array, step: number, more: Pick<FileEntry, 'size' | 'segments'>): FileEntry {
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 1, xattrs: [] }
  return {
    type: 'file',
    path: [encodeText('f')],
    ...attributes,
    ...more,
    body: inReusedMemory(content, step),
  }
}

async function applied(sandbox: LayerSandbox, entry: FileEntry): Promise<number> {
  using tree = new RootTree(sandbox.rootfs)
  const applier = new LayerApplier(tree, { limits: defaultLayerLimits })
  await applier.apply(entry)
  applier.finish()
  return applier.report.bytes
}

const pieces = fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 0, max: 5000 })), { maxLength: 6 })

describe('file content', { skip, timeout: 60_000 }, () => {
  it('is written from memory that is used again for the next piece', async () => {
    using sandbox = new LayerSandbox()
    const content = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251))
    assert.equal(await applied(sandbox, fileOf(content, 777, { size: content.length })), 10_000)
    assert.deepEqual(readFileSync(join(sandbox.rootfs, 'f')), content)
  })

  it('of a sparse file goes where its map says, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.nat(5000), fc.integer({ min: 1, max: 6000 }), async (gaps, end, step) => {
        const segments: Segment[] = []
        let offset = 0
        for (const [gap, length] of gaps) {
          segments.push({ offset: offset + gap, length })
          offset += gap + length
        }
        const size = offset + end
        const storedSize = segments.reduce((sum, { length }) => sum + length, 0)
        const stored = Buffer.from(Array.from({ length: storedSize }, (_, index) => 1 + (index % 250)))
        const expected = Buffer.alloc(size)
        let taken = 0
        for (const { offset: at, length } of segments) {
          expected.set(stored.subarray(taken, taken + length), at)
          taken += length
        }
        using sandbox = new LayerSandbox()
        assert.equal(await applied(sandbox, fileOf(stored, step, { size, segments })), stored.length)
        assert.deepEqual(readFileSync(join(sandbox.rootfs, 'f')), expected)
      }),
      { numRuns: 100 },
    )
  })

  it('keeps holes as holes', async () => {
    using sandbox = new LayerSandbox()
    const segments = [{ offset: 1024 ** 3, length: 4096 }]
    await applied(sandbox, fileOf(Buffer.alloc(4096, 'x'), 4096, { size: 2 * 1024 ** 3, segments }))
    const { size, blocks } = statSync(join(sandbox.rootfs, 'f'))
    assert.equal(size, 2 * 1024 ** 3)
    assert.ok(blocks * 512 < 1024 ** 2, `${blocks} blocks are in use`)
  })

  it('is nothing but a hole when its map is empty', async () => {
    using sandbox = new LayerSandbox()
    await applied(sandbox, fileOf(new Uint8Array(), 1, { size: 5000, segments: [] }))
    assert.deepEqual(readFileSync(join(sandbox.rootfs, 'f')), Buffer.alloc(5000))
  })
})
