import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../../../../src/storage/digest.ts'
import { beginPull, digestOfRest, pull } from '../../../support/blob-pull.ts'
import { BlobUpstream, BlobUpstreamSource } from '../../../support/blob-upstream.ts'
import { startProxiedProcess } from '../../../support/proxied-process.ts'
import { type ProxiedRegistry, proxiedName, startProxiedRegistry } from '../../../support/proxied-registry.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const mebibyte = 1024 ** 2

describe('blobs of upstreams among processes', { timeout: 240_000 }, () => {
  let stack: AsyncDisposableStack
  let upstream: BlobUpstream
  let directory: string
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    upstream = stack.use(await BlobUpstream.start())
    directory = stack.use(await temporaryDirectory()).path
  })
  afterEach(() => stack.disposeAsync())

  const source = (): BlobUpstreamSource => new BlobUpstreamSource(upstream.port)

  async function untilStored(registry: ProxiedRegistry, digest: Digest, bytes: number): Promise<void> {
    for (;;) {
      const upload = await registry.metadata.findTransfer(proxiedName, digest)
      const blobs = registry.blobs.repository(proxiedName)
      if (upload !== undefined && (await blobs.status(upload)).offset >= bytes) return
      await sleep(20)
    }
  }

  it('are asked for once by two of them', async () => {
    const settings = { pollMs: 20, answerWithinMs: 120_000 }
    const here = stack.use(await startProxiedRegistry(source(), { directory, settings }))
    const there = stack.use(await startProxiedProcess(directory, upstream.port, { settings }))
    const digest = upstream.add(randomBytes(12 * mebibyte))
    const opened = Promise.withResolvers<void>()
    upstream.scripts.push(async ({ bytes, send }) => {
      await send(bytes.subarray(0, mebibyte))
      await opened.promise
      await send(bytes.subarray(mebibyte))
    })
    const first = await beginPull(here.url, digest)
    const others = Array.from({ length: 8 }, () => beginPull(there.url, digest))
    opened.resolve()
    const digests = await Promise.all([
      digestOfRest(first),
      ...others.map(async answer => await digestOfRest(await answer)),
    ])
    assert.deepEqual(new Set(digests), new Set([digest]))
    assert.equal(upstream.gets, 1)
    assert.equal(upstream.heads, 0)
  })

  it('are asked for by one that has waited long enough, and not kept by it', async () => {
    const settings = { pollMs: 20, answerWithinMs: 200 }
    const here = stack.use(await startProxiedRegistry(source(), { directory, settings }))
    const other = stack.use(await startProxiedRegistry(source(), { directory, settings }))
    const bytes = randomBytes(2 * mebibyte)
    const digest = upstream.add(bytes)
    const opened = Promise.withResolvers<void>()
    upstream.scripts.push(async ({ send }) => {
      await send(bytes.subarray(0, mebibyte))
      await opened.promise
      await send(bytes.subarray(mebibyte))
    })
    const first = await beginPull(here.url, digest)
    assert.ok((await pull(other.url, digest)).bytes.equals(bytes))
    assert.equal(upstream.gets, 2)
    assert.deepEqual(other.answers, ['passed'])
    opened.resolve()
    assert.equal(await digestOfRest(first), digest)
    while (here.fetched.length === 0) await sleep(10)
    assert.deepEqual(here.fetched, [{ outcome: 'kept', bytes: bytes.length }])
  })

  it('are fetched by another when the one that fetches them is killed, and only the rest', async () => {
    const blobSettings = { partSizeBytes: mebibyte, saveEveryBytes: mebibyte, leaseMs: 3000 }
    // The session of the dead one is free before its turn is.
    const settings = { leaseMs: 8000, pollMs: 50, answerWithinMs: 120_000 }
    const doomed = stack.use(await startProxiedProcess(directory, upstream.port, { blobSettings, settings }))
    const bytes = randomBytes(12 * mebibyte)
    const digest = upstream.add(bytes)
    upstream.scripts.push(async ({ response, send }) => {
      await send(bytes.subarray(0, 9 * mebibyte))
      await new Promise(resolve => response.once('close', resolve))
    })
    const broken = await beginPull(doomed.url, digest)
    const heir = stack.use(await startProxiedRegistry(source(), { directory, blobSettings, settings }))
    await untilStored(heir, digest, 6 * mebibyte)
    await doomed.kill()
    assert.equal(await digestOfRest(broken), undefined)
    const sentBefore = upstream.sentBytes
    const { bytes: got, isComplete } = await pull(heir.url, digest)
    assert.ok(isComplete)
    assert.ok(got.equals(bytes))
    const sent = upstream.sentBytes - sentBefore
    assert.ok(sent <= 6 * mebibyte, `upstream has sent ${sent} bytes again`)
    assert.equal(upstream.gets, 2)
  })

  it('come from their beginning at once, when the one that fetches them was killed and its session is not free yet', async () => {
    const blobSettings = { partSizeBytes: mebibyte, saveEveryBytes: mebibyte, leaseMs: 3_600_000 }
    const settings = { leaseMs: 1000, pollMs: 50, answerWithinMs: 120_000 }
    const doomed = stack.use(await startProxiedProcess(directory, upstream.port, { blobSettings, settings }))
    const bytes = randomBytes(6 * mebibyte)
    const digest = upstream.add(bytes)
    upstream.scripts.push(async ({ response, send }) => {
      await send(bytes.subarray(0, 4 * mebibyte))
      await new Promise(resolve => response.once('close', resolve))
    })
    const broken = await beginPull(doomed.url, digest)
    const heir = stack.use(await startProxiedRegistry(source(), { directory, blobSettings, settings }))
    await untilStored(heir, digest, 2 * mebibyte)
    await doomed.kill()
    assert.equal(await digestOfRest(broken), undefined)
    assert.ok((await pull(heir.url, digest)).bytes.equals(bytes))
    while (heir.fetched.length === 0) await sleep(10)
    assert.deepEqual(heir.fetched, [{ outcome: 'kept', bytes: bytes.length }])
    assert.deepEqual(heir.answers, ['fetched'])
    assert.equal(upstream.gets, 2)
  })

  it('take no memory that grows with their size or their readers', async () => {
    const registry = stack.use(await startProxiedProcess(directory, upstream.port))
    const digest = upstream.add(randomBytes(64 * mebibyte))
    const answers = await Promise.all(Array.from({ length: 16 }, () => beginPull(registry.url, digest)))
    // One that does not read at all holds nothing but what is on its way to it.
    const [stuck, ...others] = answers
    stuck?.pause()
    const digests = await Promise.all(others.map(digestOfRest))
    assert.deepEqual(new Set(digests), new Set([digest]))
    const most = await registry.mostBytes()
    assert.ok(most < 48 * mebibyte, `${Math.round(most / mebibyte)} MiB were in use`)
    assert.equal(upstream.gets, 1)
    stuck?.destroy()
  })
})
