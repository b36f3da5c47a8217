import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
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

  it('come at once but for their last byte, which waits until the whole blob is known to be right', async () => {
    const bytes = randomBytes(size)
    const digest = upstream.add(bytes)
    const opened = Promise.withResolvers<void>()
    upstream.scripts.push(async ({ send }) => {
      await send(bytes.subarray(0, 100_000))
      await opened.promise
      await send(bytes.subarray(100_000))
    })
    const first = await beginPull(registry.url, digest, { Range: 'bytes=10-19' })
    const [begun] = (await once(first, 'data')) as [Buffer]
    assert.ok(begun.equals(bytes.subarray(10, 19)))
    const [later, both] = ['bytes=150000-150009', 'bytes=0-0,150000-150009'].map(Range =>
      pull(registry.url, digest, { Range }),
    )
    const conditional = await pull(registry.url, digest, { 'If-None-Match': `"${digest}"` })
    assert.equal(conditional.status, 304)
    assert.equal(first.complete, false)
    opened.resolve()
    const rest = await restOf(first)
    assert.ok(rest.isComplete)
    assert.ok(Buffer.concat([begun, rest.bytes]).equals(bytes.subarray(10, 20)))
    assert.ok((await later)?.bytes.equals(bytes.subarray(150_000, 150_010)))
    assert.equal((await both)?.isComplete, true)
    assert.equal(upstream.gets, 1)
  })

  for (const where of ['the spool', 'memory', 'nowhere'] as const)
    it(`are never given whole when the blob is wrong, through ${where}`, async () => {
      const wrong = randomBytes(size)
      const digest = digestOf(Buffer.from('another blob'))
      for (const Range of ['bytes=0-0', 'bytes=10-19', 'bytes=1-150000', 'bytes=0-0,10-19', 'bytes=-5']) {
        await using own = await startProxiedRegistry(new BlobUpstreamSource(upstream.port), {
          store: where !== 'nowhere',
          ...(where === 'the spool' ? {} : { spool: { maxBytes: 1 }, settings: { roomWithinMs: 10 } }),
        })
        upstream.add(wrong, digest)
        // Undefined: it was broken off before it had begun.
        const answer = await pull(own.url, digest, { Range }).catch(() => undefined)
        assert.ok(answer?.isComplete !== true || answer.status === 503, `${Range}: ${answer?.status}`)
      }
    })

  it('of what is not kept cost upstream the blob once, however many they are', async () => {
    await using own = await startProxiedRegistry(new BlobUpstreamSource(upstream.port), {
      store: false,
      spool: { maxBytes: 1 },
      settings: { roomWithinMs: 10 },
    })
    const bytes = randomBytes(size)
    const digest = upstream.add(bytes)
    const several = await pull(own.url, digest, { Range: 'bytes=0-0,2-2,4-4,6-6' })
    assert.equal(several.status, 200)
    assert.ok(several.bytes.equals(bytes))
    // One to see how large it is, which is why it has no room, and one for the client.
    assert.ok(upstream.gets <= 2, String(upstream.gets))
    const one = await pull(own.url, digest, { Range: 'bytes=2-5' })
    assert.equal(one.status, 206)
    assert.ok(one.bytes.equals(bytes.subarray(2, 6)))
  })
})
