import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '../../../../src/storage/digest.ts'
import { beginPull, pull, restOf } from '../../../support/blob-pull.ts'
import { BlobUpstream, BlobUpstreamSource } from '../../../support/blob-upstream.ts'
import { type ProxiedRegistry, startProxiedRegistry } from '../../../support/proxied-registry.ts'

const size = 200_000

const position = fc.integer({ min: 0, max: size + 1000 })
const range = fc.oneof(
  fc.tuple(position, position).map(([first, last]) => `${first}-${last}`),
  position.map(first => `${first}-`),
  position.map(length => `-${length}`),
)
const header = fc.array(range, { minLength: 1, maxLength: 4 }).map(ranges => `bytes=${ranges.join(',')}`)

describe('ranges of a blob that grows', { timeout: 120_000 }, () => {
  let stack: AsyncDisposableStack
  let upstream: BlobUpstream
  let registry: ProxiedRegistry
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    upstream = stack.use(await BlobUpstream.start())
    registry = stack.use(await startProxiedRegistry(new BlobUpstreamSource(upstream.port)))
  })
  afterEach(() => stack.disposeAsync())

  /** Multipart bodies have a boundary of their own each. */
  const plain = (bytes: Buffer, type: string | undefined): string => {
    const [, boundary] = /boundary=(.*)$/.exec(type ?? '') ?? []
    return boundary === undefined
      ? bytes.toString('latin1')
      : bytes.toString('latin1').replaceAll(boundary, 'B')
  }

  it('are those of the blob when it is there', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(header, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: size }),
        fc.constantFrom('none', 'right', 'wrong'),
        async (headers, held, condition) => {
          const bytes = randomBytes(size)
          const digest = upstream.add(bytes)
          const opened = Promise.withResolvers<void>()
          upstream.scripts.push(async ({ send }) => {
            await send(bytes.subarray(0, held))
            await opened.promise
            await send(bytes.subarray(held))
          })
          const ifRange = condition === 'right' ? digest : digestOf(Buffer.from('other'))
          const sent = headers.map(Range => ({
            Range,
            ...(condition === 'none' ? {} : { 'If-Range': `"${ifRange}"` }),
          }))
          const growing = sent.map(async given => await restOf(await beginPull(registry.url, digest, given)))
          opened.resolve()
          const got = await Promise.all(growing)
          const whole = await pull(registry.url, digest)
          assert.ok(whole.bytes.equals(bytes))
          for (const [index, given] of sent.entries()) {
            const model = await pull(registry.url, digest, given)
            const answer = got[index]
            assert.ok(answer)
            assert.equal(answer.status, model.status)
            assert.equal(answer.headers['content-range'], model.headers['content-range'])
            assert.equal(answer.headers['content-length'], model.headers['content-length'])
            assert.equal(answer.isComplete, model.isComplete)
            // 416 names the request in its body, and that is another one.
            if (model.status === 416) continue
            const type = model.headers['content-type']
            assert.equal(plain(answer.bytes, answer.headers['content-type']), plain(model.bytes, type))
          }
        },
      ),
      { numRuns: 40 },
    )
    assert.equal(upstream.heads, 0)
  })

  it('are answered at once when their bytes are there, and wait for those that are not', async () => {
    const bytes = randomBytes(size)
    const digest = upstream.add(bytes)
    const opened = Promise.withResolvers<void>()
    upstream.scripts.push(async ({ send }) => {
      await send(bytes.subarray(0, 100_000))
      await opened.promise
      await send(bytes.subarray(100_000))
    })
    const first = await pull(registry.url, digest, { Range: 'bytes=10-19' })
    assert.ok(first.bytes.equals(bytes.subarray(10, 20)))
    const later = pull(registry.url, digest, { Range: 'bytes=150000-150009' })
    const conditional = await pull(registry.url, digest, { 'If-None-Match': `"${digest}"` })
    assert.equal(conditional.status, 304)
    opened.resolve()
    assert.ok((await later).bytes.equals(bytes.subarray(150_000, 150_010)))
    assert.equal(upstream.gets, 1)
  })
})
