import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { isDomainError } from '../../../src/errors.ts'
import { FileRangeStream } from '../../../src/storage/objects/file-range-stream.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const size = 2_000_003
const bytes = randomBytes(size)

async function withFile(work: (path: string) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'object')
  await writeFile(path, bytes)
  await work(path)
}

async function copied(stream: FileRangeStream, pauseMs = 0): Promise<Buffer> {
  const chunks: Buffer[] = []
  await stream.copyTo(async chunk => {
    if (pauseMs > 0) await sleep(pauseMs)
    chunks.push(Buffer.from(chunk))
  })
  return Buffer.concat(chunks)
}

describe('FileRangeStream', () => {
  it('gives the bytes of any range, read or copied, many at once', async () => {
    await withFile(async path => {
      const range = fc
        .tuple(fc.nat(size), fc.nat(size))
        .map(([a, b]) => [Math.min(a, b), Math.abs(a - b)] as const)
      const check = async ([first, length]: readonly [number, number]): Promise<void> => {
        const wanted = bytes.subarray(first, first + length)
        const stream = async () => new FileRangeStream(await open(path), 'x', { first, length })
        const [direct, slow, read] = await Promise.all([
          copied(await stream()),
          copied(await stream(), 1),
          buffer(await stream()),
        ])
        assert.ok(direct.equals(wanted) && slow.equals(wanted) && read.equals(wanted))
      }
      await check([0, 0])
      await check([0, 512 * 1024])
      await check([0, 512 * 1024 + 1])
      await fc.assert(fc.asyncProperty(range, check), { numRuns: 25 })
    })
  })

  it('ends a copy when it is destroyed, when the sink fails, and when the file is too short', async () => {
    await withFile(async path => {
      const destroyed = new FileRangeStream(await open(path), 'x', { first: 0, length: size })
      await assert.rejects(
        destroyed.copyTo(async () => {
          destroyed.destroy()
        }),
        { name: 'AbortError' },
      )
      const refused = new FileRangeStream(await open(path), 'x', { first: 0, length: size })
      await assert.rejects(
        refused.copyTo(() => Promise.reject(new Error('full'))),
        /full/,
      )
      assert.ok(refused.destroyed)

      const short = new FileRangeStream(await open(path), 'x', { first: 0, length: size + 1 })
      await assert.rejects(copied(short), error => isDomainError(error, 'unavailable'))
    })
  })
})
