import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FramedContent } from '../../../../src/importer/layer/tar/framed-content.ts'

describe('FramedContent', { timeout: 10_000 }, () => {
  it('gives the content of each piece, in the same memory, and no padding', async () => {
    const content = new FramedContent(700)
    const pieces = [Buffer.alloc(1, 'a'), Buffer.alloc(511, 'b'), Buffer.alloc(512, 'c')]
    const sizes = [1, 511, 188]
    for (const [index, piece] of pieces.entries()) {
      const bytes = await content.take(piece, sizes[index] ?? 0)
      assert.deepEqual([bytes.length, bytes.buffer], [sizes[index], piece.buffer])
    }
    content.close()
  })

  it('takes content that is larger than the eleven octal digits of a header', async () => {
    const content = new FramedContent(8 ** 11 + 1)
    for (let piece = 0; piece < 3; piece += 1)
      assert.equal((await content.take(Buffer.alloc(65_536), 65_536)).length, 65_536)
    content.close()
  })

  it('calls it a bug when tar-stream reads another size than was written', async () => {
    for (const [size, read] of [
      [1.5, 1],
      [-1, 0],
    ] as const) {
      const content = new FramedContent(size)
      const expected = new RegExp(`reads a file of ${read} bytes where a file of ${size} bytes was written`)
      await assert.rejects(content.take(Buffer.alloc(512), 1), expected)
      content.close()
    }
  })

  it('calls it a bug when tar-stream finds another end than was read', async () => {
    const content = new FramedContent(700)
    await assert.rejects(content.take(Buffer.alloc(1024), 699), /reads 700 bytes .* where there are 699/)
    content.close()
  })
})
