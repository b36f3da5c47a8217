/** Digests of another thread, and streams that are verified by it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { isDomainError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { DigestThread } from '../../../src/storage/streams/digest-thread.ts'
import type { ByteSink, DirectReadable } from '../../../src/storage/streams/direct.ts'
import { DirectVerifyStream } from '../../../src/storage/streams/direct-verify.ts'
import { rejectsWith } from '../../support/rejects.ts'

const what = { resource: 'blob', name: 'it' } as const

/** Hands each chunk out in the same shared memory, and spoils it as soon as that is its own again. */
class SharedChunks extends Readable implements DirectReadable {
  readonly #chunks: readonly Buffer[]
  readonly #memory = Buffer.from(new SharedArrayBuffer(256))

  constructor(chunks: readonly Buffer[]) {
    super()
    this.#chunks = chunks
  }

  async copyTo(sink: ByteSink): Promise<void> {
    for (const chunk of this.#chunks) {
      this.#memory.set(chunk)
      try {
        await sink(this.#memory.subarray(0, chunk.length))
      } finally {
        this.#memory.fill(0xff)
      }
    }
  }

  override _read(): void {
    this.push(null)
  }
}

const cuts = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map(bytes => Buffer.from(bytes)),
  { minLength: 1, maxLength: 8 },
)

describe('DigestThread', () => {
  const thread = new DigestThread()
  after(() => thread[Symbol.asyncDispose]())

  it('computes many digests at once, of shared memory and of views of other memory', async () => {
    const blobs = Array.from({ length: 20 }, (_, index) => randomBytes(index * 1000))
    const digests = blobs.map(async (blob, index) => {
      using digester = thread.begin(index % 2 === 0 ? 'sha256' : 'sha512')
      const shared = Buffer.from(new SharedArrayBuffer(blob.length))
      shared.set(blob)
      const bytes = index % 3 === 0 ? blob : shared
      await Promise.all([digester.update(bytes.subarray(0, 700)), digester.update(bytes.subarray(700))])
      return await digester.digest()
    })
    assert.deepEqual(
      await Promise.all(digests),
      blobs.map((blob, index) => digestOf(blob, index % 2 === 0 ? 'sha256' : 'sha512')),
    )
  })

  it('does not keep a process alive that has used it and is done', { timeout: 30_000 }, async () => {
    const source = new URL('../../../src/storage/streams/digest-thread.ts', import.meta.url).href
    const program = `
      import { DigestThread } from ${JSON.stringify(source)}
      const others = setInterval(() => {}, 1000)
      using digester = new DigestThread().begin('sha256')
      await digester.update(Buffer.from('hello'))
      console.log(await digester.digest())
      clearInterval(others)`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    assert.equal(stdout.trim(), digestOf(Buffer.from('hello')))
  })

  it('fails what is under way when it ends, and then all', async () => {
    const ending = new DigestThread()
    using digester = ending.begin('sha256')
    const update = digester.update(randomBytes(10))
    await Promise.all([rejectsWith('unavailable', update), ending[Symbol.asyncDispose]()])
    await rejectsWith('unavailable', digester.update(randomBytes(10)))
    assert.throws(() => ending.begin('sha256'), /has ended/)
  })
})

describe('DirectVerifyStream with a thread', () => {
  const thread = new DigestThread()
  after(() => thread[Symbol.asyncDispose]())

  async function copied(chunks: readonly Buffer[], whole: Buffer, size: number | undefined = whole.length) {
    const source = new SharedChunks(chunks)
    const stream = new DirectVerifyStream(source, { digest: digestOf(whole), size, what }, thread)
    const taken: Buffer[] = []
    const error = await stream
      .copyTo(async chunk => void taken.push(Buffer.from(chunk)))
      .then(
        () => undefined,
        (failure: unknown) => failure,
      )
    assert.ok(stream.destroyed && source.destroyed)
    return { bytes: Buffer.concat(taken), error }
  }

  it('gives the promised bytes, of a known size or not', async () => {
    await fc.assert(
      fc.asyncProperty(cuts, fc.boolean(), async (chunks, isSized) => {
        const whole = Buffer.concat(chunks)
        const size = isSized ? whole.length : undefined
        assert.deepEqual(await copied(chunks, whole, size), { bytes: whole, error: undefined })
      }),
      { numRuns: 50 },
    )
  })

  it('gives the last chunk of no others', async () => {
    await fc.assert(
      fc.asyncProperty(cuts, fc.nat(), async (chunks, where) => {
        const whole = Buffer.concat(chunks)
        const other = Buffer.from(whole)
        const at = where % whole.length
        other[at] = (other[at] ?? 0) ^ 1
        const { bytes, error } = await copied(chunks, other)
        assert.equal(bytes.length, whole.length - (chunks.at(-1)?.length ?? 0))
        assert.ok(isDomainError(error, 'digest_mismatch'))
      }),
      { numRuns: 50 },
    )
  })

  it('fails when bytes are missing, and gives none that come in excess', async () => {
    const bytes = randomBytes(10)
    for (const chunks of [[bytes.subarray(1)], []])
      assert.ok(isDomainError((await copied(chunks, bytes)).error, 'size_mismatch'))
    const { bytes: given, error } = await copied([bytes, Buffer.of(1)], bytes)
    assert.ok(isDomainError(error, 'size_mismatch'))
    assert.deepEqual(given, bytes)
  })

  it('lets go of the memory only when both the thread and the sink have', async () => {
    const [first, second] = [randomBytes(100), randomBytes(100)]
    const whole = Buffer.concat([first, second])
    const source = new SharedChunks([first, second])
    const stream = new DirectVerifyStream(source, { digest: digestOf(whole), size: 200, what }, thread)
    const taken: Buffer[] = []
    await stream.copyTo(async chunk => {
      // By then the thread has long read it.
      await new Promise(resolve => setTimeout(resolve, 20))
      taken.push(Buffer.from(chunk))
    })
    assert.deepEqual(Buffer.concat(taken), whole)
  })
})
