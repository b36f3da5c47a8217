import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../../../src/storage/digest.ts'
import { parseRepositoryName } from '../../../../src/storage/reference.ts'
import { beginPull, digestOfRest, headBlob, pull, restOf } from '../../../support/blob-pull.ts'
import { BlobUpstream, BlobUpstreamSource } from '../../../support/blob-upstream.ts'
import { openFilesBelow } from '../../../support/open-files.ts'
import {
  type ProxiedRegistry,
  type ProxiedRegistryOptions,
  proxiedName,
  startProxiedRegistry,
} from '../../../support/proxied-registry.ts'

const mebibyte = 1024 ** 2

describe('a cold blob', { timeout: 120_000 }, () => {
  let stack: AsyncDisposableStack
  let upstream: BlobUpstream
  let registry: ProxiedRegistry
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    upstream = stack.use(await BlobUpstream.start())
  })
  afterEach(() => stack.disposeAsync())

  async function start(options?: ProxiedRegistryOptions): Promise<void> {
    registry = stack.use(await startProxiedRegistry(new BlobUpstreamSource(upstream.port), options))
  }

  /** Sends until `at`, and the rest when it is opened. */
  function gateAt(at: number): { readonly reached: Promise<void>; readonly open: () => void } {
    const reached = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    upstream.scripts.push(async ({ bytes, first, send }) => {
      await send(bytes.subarray(first, at))
      reached.resolve()
      await opened.promise
      await send(bytes.subarray(at))
    })
    return { reached: reached.promise, open: opened.resolve }
  }

  const isKept = async (digest: ReturnType<typeof digestOf>): Promise<boolean> =>
    await registry.blobs
      .repository(proxiedName)
      .stat(digest)
      .then(
        () => true,
        () => false,
      )

  async function untilKept(digest: ReturnType<typeof digestOf>): Promise<void> {
    while (!(await isKept(digest))) await sleep(10)
  }

  it('is fetched once for 64 clients, all at once, and the first byte comes before the last is there', async () => {
    await start()
    const bytes = randomBytes(16 * mebibyte)
    const digest = upstream.add(bytes)
    const gate = gateAt(3 * mebibyte)
    const answers = await Promise.all(Array.from({ length: 64 }, () => beginPull(registry.url, digest)))
    // Upstream has not sent the rest, and cannot before this has come.
    await Promise.all(answers.map(answer => once(answer, 'readable')))
    gate.open()
    for (const { statusCode, headers } of answers) {
      assert.equal(statusCode, 200)
      assert.equal(headers['docker-content-digest'], digest)
    }
    const digests = await Promise.all(answers.map(digestOfRest))
    assert.deepEqual(new Set(digests), new Set([digest]))
    assert.equal(upstream.gets, 1)
    assert.equal(upstream.heads, 0)
    assert.equal(upstream.sentBytes, bytes.length)
    await untilKept(digest)
    const warm = await pull(registry.url, digest)
    assert.ok(warm.bytes.equals(bytes))
    assert.equal(upstream.gets, 1)
    assert.deepEqual(registry.answers.slice(0, 2), ['fetched', 'joined'])
    assert.equal(registry.answers.at(-1), 'hit')
  })

  it('is kept although all clients leave', async () => {
    await start()
    const bytes = randomBytes(2 * mebibyte)
    const digest = upstream.add(bytes)
    const gate = gateAt(mebibyte)
    const answers = await Promise.all(Array.from({ length: 3 }, () => beginPull(registry.url, digest)))
    for (const answer of answers) answer.destroy()
    await gate.reached
    gate.open()
    await untilKept(digest)
    assert.equal(upstream.sentBytes, bytes.length)
  })

  it('comes at full pace to others while one client does not read', async () => {
    await start({ settings: { lingerMs: 50 } })
    const bytes = randomBytes(24 * mebibyte)
    const digest = upstream.add(bytes)
    const slow = await beginPull(registry.url, digest)
    slow.pause()
    const quick = await pull(registry.url, digest)
    assert.ok(quick.bytes.equals(bytes))
    await untilKept(digest)
    // The growing copy is given up meanwhile, and the slow client goes on from the store.
    await sleep(200)
    const { bytes: got, isComplete } = await restOf(slow)
    assert.ok(isComplete)
    assert.ok(got.equals(bytes))
    assert.equal(upstream.gets, 1)
  })

  it('is read from memory and the store where the spool has no room', async () => {
    await start({ spool: { maxBytes: 1000 }, settings: { slowClientsMs: 300 } })
    const bytes = randomBytes(24 * mebibyte)
    const digest = upstream.add(bytes)
    const slow = await beginPull(registry.url, digest)
    slow.pause()
    const quick = await pull(registry.url, digest)
    assert.ok(quick.bytes.equals(bytes))
    const { bytes: got, isComplete } = await restOf(slow)
    assert.ok(isComplete)
    assert.ok(got.equals(bytes))
    assert.equal(upstream.gets, 1)
    assert.equal(upstream.sentBytes, bytes.length)
  })

  for (const [what, size] of [
    ['no bytes', 0],
    ['one byte', 1],
  ] as const)
    it(`may have ${what}`, async () => {
      await start()
      const bytes = randomBytes(size)
      const digest = upstream.add(bytes)
      const { status, bytes: got, isComplete } = await pull(registry.url, digest)
      assert.equal(status, 200)
      assert.ok(isComplete)
      assert.ok(got.equals(bytes))
      await untilKept(digest)
    })

  it('is not fetched for HEAD', async () => {
    await start()
    const digest = upstream.add(randomBytes(1000))
    const { statusCode, headers } = await headBlob(registry.url, digest)
    assert.equal(statusCode, 200)
    assert.equal(headers['content-length'], '1000')
    assert.equal(headers['docker-content-digest'], digest)
    assert.equal(upstream.gets, 0)
    assert.equal((await headBlob(registry.url, digestOf(Buffer.from('absent')))).statusCode, 404)
  })

  /** As another repository of ours has it. */
  async function store(repository: string, ...contents: readonly Buffer[]): Promise<void> {
    const other = registry.blobs.repository(parseRepositoryName(repository))
    for (const content of contents) {
      await using writer = await other.create()
      await writer.write(Readable.from([content]))
      await writer.commit({ digest: digestOf(content) })
    }
  }

  it('that another repository below the prefix has is linked when upstream has it, too', async () => {
    await start()
    const bytes = randomBytes(100_000)
    const digest = upstream.add(bytes)
    await store('hub.test/other', bytes, Buffer.from('secret'))
    const { bytes: got } = await pull(registry.url, digest)
    assert.ok(got.equals(bytes))
    assert.equal(upstream.gets, 0)
    assert.equal(upstream.heads, 1)
    assert.deepEqual(registry.answers, ['linked'])
    const secret = await pull(registry.url, digestOf(Buffer.from('secret')))
    assert.equal(secret.status, 404)
    assert.equal(await isKept(digestOf(Buffer.from('secret'))), false)
  })

  it('that is ours comes from upstream all the same, which could say of anything that it has it', async () => {
    await start()
    const bytes = randomBytes(100_000)
    const digest = upstream.add(bytes)
    await store('own/app', bytes)
    const { bytes: got } = await pull(registry.url, digest)
    assert.ok(got.equals(bytes))
    assert.equal(upstream.gets, 1)
    assert.equal(upstream.heads, 0)
  })

  it('is passed on and not kept where the upstream is not kept', async () => {
    await start({ store: false })
    const bytes = randomBytes(3 * mebibyte)
    const digest = upstream.add(bytes)
    const gate = gateAt(mebibyte)
    const answers = await Promise.all([0, 1, 2].map(() => beginPull(registry.url, digest)))
    gate.open()
    for (const { bytes: got } of await Promise.all(answers.map(restOf))) assert.ok(got.equals(bytes))
    assert.equal(upstream.gets, 1)
    assert.equal(await isKept(digest), false)
    assert.ok((await pull(registry.url, digest)).bytes.equals(bytes))
    assert.equal(upstream.gets, 2)
  })

  it('is passed on to each alone where it is not kept and the spool has no room', async () => {
    await start({ store: false, spool: { maxBytes: 1000 }, settings: { roomWithinMs: 20 } })
    const bytes = randomBytes(8 * mebibyte)
    const digest = upstream.add(bytes)
    const slow = await beginPull(registry.url, digest)
    slow.pause()
    assert.ok((await pull(registry.url, digest)).bytes.equals(bytes))
    assert.ok((await restOf(slow)).bytes.equals(bytes))
    const part = await pull(registry.url, digest, { Range: 'bytes=-10' })
    assert.equal(part.status, 206)
    assert.ok(part.bytes.equals(bytes.subarray(-10)))
  })

  it('that upstream does not have, or not now, is refused in the registry’s own words', async () => {
    await start()
    const digest = upstream.add(randomBytes(10))
    for (const [status, answered, code] of [
      [404, 404, 'BLOB_UNKNOWN'],
      [429, 429, 'TOOMANYREQUESTS'],
      [500, 503, 'UNAVAILABLE'],
    ] as const) {
      upstream.status = status
      const { status: got, headers, bytes } = await pull(registry.url, digest)
      assert.equal(got, answered)
      assert.match(bytes.toString(), new RegExp(code))
      if (answered !== 404) assert.match(headers['retry-after'] ?? '', /^\d+$/)
      if (answered === 429) assert.equal(headers['retry-after'], '7')
      const { statusCode } = await headBlob(registry.url, digest)
      assert.equal(statusCode, answered)
    }
    upstream.status = undefined
    assert.equal((await pull(registry.url, digest)).status, 200)
  })

  it('goes on by itself where upstream breaks off', async () => {
    await start()
    const bytes = randomBytes(4 * mebibyte)
    const digest = upstream.add(bytes)
    for (const at of [mebibyte, 3 * mebibyte])
      upstream.scripts.push(async ({ response, first, send }) => {
        await send(bytes.subarray(first, at))
        response.socket?.end()
      })
    const { bytes: got, isComplete } = await pull(registry.url, digest)
    assert.ok(isComplete)
    assert.ok(got.equals(bytes))
    assert.equal(upstream.gets, 3)
    // Node drops what it has not given away when a connection ends too early.
    assert.ok(upstream.sentBytes < bytes.length + mebibyte, `upstream has sent ${upstream.sentBytes}`)
  })

  it('that breaks off for good breaks the answers off, and the next pull fetches the rest only', async () => {
    await start({ settings: { retries: 0 }, blobSettings: { partSizeBytes: mebibyte } })
    const bytes = randomBytes(8 * mebibyte)
    const digest = upstream.add(bytes)
    upstream.scripts.push(async ({ response, send }) => {
      await send(bytes.subarray(0, 6 * mebibyte))
      response.socket?.end()
    })
    const broken = await pull(registry.url, digest)
    assert.equal(broken.isComplete, false)
    while (registry.fetched.length === 0) await sleep(10)
    const again = await pull(registry.url, digest)
    assert.ok(again.isComplete)
    assert.ok(again.bytes.equals(bytes))
    assert.ok(upstream.sentBytes <= 10 * mebibyte, `upstream has sent ${upstream.sentBytes}`)
  })

  it('is broken off when the registry stops, and what has come is kept for the next one', async () => {
    await start({ blobSettings: { partSizeBytes: mebibyte } })
    const bytes = randomBytes(6 * mebibyte)
    const digest = upstream.add(bytes)
    const gate = gateAt(5 * mebibyte)
    const answer = await beginPull(registry.url, digest)
    await gate.reached
    await registry.proxied[Symbol.asyncDispose]()
    assert.equal(await digestOfRest(answer), undefined)
    assert.deepEqual(openFilesBelow(`${registry.directory}/spool`), [])
    const upload = await registry.metadata.findTransfer(proxiedName, digest)
    assert.ok(upload)
    await using resumed = await registry.blobs.repository(proxiedName).resume(upload)
    assert.ok(resumed.offset > 0)
    gate.open()
  })
})
