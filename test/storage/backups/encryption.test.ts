import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { seal, unseal } from '../../../src/storage/backups/encryption.ts'

const secret = randomBytes(32)
const chunkBytes = 256 * 1024

async function* of(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces
}

async function all(bytes: AsyncIterable<Buffer>): Promise<Buffer[]> {
  return await Array.fromAsync(bytes)
}

describe('Sealed bytes', () => {
  const plain = randomBytes(2 * chunkBytes + 1)

  it('of several chunks come back, however they are cut on their way', async () => {
    const sealed = Buffer.concat(await all(seal(of(plain), secret)))
    const pieces: Buffer[] = []
    for (let start = 0; start < sealed.length; start += 100_001)
      pieces.push(sealed.subarray(start, start + 100_001))
    assert.ok(Buffer.concat(await all(unseal(of(...pieces), secret))).equals(plain))
  })

  it('are refused when whole chunks are missing, or stand elsewhere', async () => {
    const [head, one, two, last, ...more] = await all(seal(of(plain), secret))
    assert.ok(head && one && two && last && more.length === 0)
    const refused = async (...chunks: readonly Buffer[]): Promise<void> => {
      await assert.rejects(all(unseal(of(...chunks), secret)), { code: 'invalid' })
    }
    await refused(head, one, two)
    await refused(head, one)
    await refused(head)
    await refused(head, two, last)
    await refused(head, last)
    await refused(head, two, one, last)
    await refused(head, one, two, last, last)
  })
})
