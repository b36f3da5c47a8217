import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../../../src/errors.ts'
import type { BlobStore, RepositoryBlobs } from '../../../../src/storage/blobs/blob-store.ts'
import { type Digest, digestOf } from '../../../../src/storage/digest.ts'
import type { NewManifest } from '../../../../src/storage/metadata/manifest-records.ts'
import { beginPull, pull, restOf } from '../../../support/blob-pull.ts'
import { BlobUpstream, BlobUpstreamSource, type Script } from '../../../support/blob-upstream.ts'
import { openFilesBelow } from '../../../support/open-files.ts'
import {
  type ProxiedRegistry,
  type ProxiedRegistryOptions,
  proxiedName,
  startProxiedRegistry,
} from '../../../support/proxied-registry.ts'
import { looseManifest } from '../../../support/records.ts'

const mebibyte = 1024 ** 2
const bytes = randomBytes(4 * mebibyte)
const digest = digestOf(bytes)

describe('an upstream that sends something else', { timeout: 120_000 }, () => {
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

  async function assertNothingKept(of: Digest = digest): Promise<void> {
    await assert.rejects(registry.blobs.repository(proxiedName).stat(of), { code: 'not_found' })
    assert.equal(await registry.metadata.findTransfer(proxiedName, of), undefined)
    assert.deepEqual(openFilesBelow(`${registry.directory}/spool`), [])
    // Whoever tries again and again would fill the disk with sessions that nobody goes on with.
    assert.deepEqual(await registry.metadata.expiredUploads(new Date(8e15), 100), [])
  }

  async function untilOver(): Promise<void> {
    while (registry.fetched.length === 0) await sleep(10)
  }

  const wrongAt = (position: number): Buffer => {
    const wrong = Buffer.from(bytes)
    wrong[position] = (wrong[position] ?? 0) ^ 1
    return wrong
  }

  for (const [what, position] of [
    ['first', 0],
    ['last', bytes.length - 1],
  ] as const)
    for (const where of ['the spool', 'memory'] as const)
      it(`gives no client a complete body when the ${what} byte is wrong, through ${where}`, async () => {
        await start(where === 'memory' ? { spool: { maxBytes: 1 } } : {})
        upstream.add(wrongAt(position), digest)
        const answers = await Promise.all([1, 2, 3].map(() => beginPull(registry.url, digest)))
        const got = await Promise.all(answers.map(restOf))
        for (const { isComplete, bytes: sent } of got) {
          assert.equal(isComplete, false)
          assert.ok(sent.length < bytes.length)
        }
        await untilOver()
        await assertNothingKept()
        upstream.add(bytes, digest)
        assert.ok((await pull(registry.url, digest)).bytes.equals(bytes))
      })

  it('is answered as one that fails, where nothing has been sent yet', async () => {
    await start()
    const small = digestOf(Buffer.from('right'))
    upstream.add(Buffer.from('wrong'), small)
    const { status, bytes: body } = await pull(registry.url, small)
    assert.equal(status, 503)
    assert.match(body.toString(), /UNAVAILABLE/)
    await untilOver()
    await assertNothingKept(small)
  })

  it('also when it is not kept', async () => {
    for (const spool of [{}, { maxBytes: 1 }]) {
      await start({ store: false, spool, settings: { roomWithinMs: 10 } })
      upstream.add(wrongAt(bytes.length - 1), digest)
      const { isComplete, bytes: sent } = await pull(registry.url, digest)
      assert.equal(isComplete, false)
      assert.ok(sent.length < bytes.length)
    }
  })

  const scripts: Readonly<Record<string, Script>> = {
    'ends too early': async ({ response, send }) => {
      response.removeHeader('Content-Length')
      await send(bytes.subarray(0, 3 * mebibyte))
    },
    'does not end': async ({ response, send }) => {
      response.removeHeader('Content-Length')
      while (!response.destroyed) await send(bytes)
    },
    'says another size when it goes on': async ({ response, first, send }) => {
      if (first === 0) {
        await send(bytes.subarray(0, mebibyte))
        response.socket?.end()
        return
      }
      response.setHeader('X-Size', bytes.length + 1)
      await send(bytes.subarray(first))
    },
  }
  for (const [what, script] of Object.entries(scripts))
    it(`breaks the answers off where upstream ${what}`, async () => {
      await start({ settings: { retries: 1 } })
      upstream.add(bytes, digest)
      upstream.script = script
      const { isComplete, bytes: sent } = await pull(registry.url, digest)
      assert.equal(isComplete, false)
      assert.ok(sent.length < bytes.length)
      await untilOver()
      await assert.rejects(registry.blobs.repository(proxiedName).stat(digest), { code: 'not_found' })
      upstream.script = undefined
      const again = await pull(registry.url, digest)
      assert.ok(again.isComplete)
      assert.ok(again.bytes.equals(bytes))
    })

  it('is not asked for more than manifests have promised', async () => {
    await start()
    upstream.add(bytes, digest)
    await registry.metadata.putManifest(proxiedName, manifestNaming(digest, bytes.length - 1))
    const { status } = await pull(registry.url, digest)
    assert.equal(status, 503)
    await registry.metadata.putManifest(proxiedName, manifestNaming(digest, bytes.length))
    assert.ok((await pull(registry.url, digest)).bytes.equals(bytes))
  })

  it('is not the only reason why nothing is kept: what a quota refuses is passed on', async () => {
    const refused = new DomainError('denied', 'The tenant has used its quota.', { resource: 'quota' })
    for (const broken of ['create', 'write'] as const) {
      await start({ kept: store => refusing(store, broken, refused) })
      upstream.add(bytes, digest)
      const answers = await Promise.all([1, 2].map(() => beginPull(registry.url, digest)))
      for (const { isComplete, bytes: sent } of await Promise.all(answers.map(restOf))) {
        assert.ok(isComplete)
        assert.ok(sent.equals(bytes))
      }
      await untilOver()
      await assert.rejects(registry.blobs.repository(proxiedName).stat(digest), { code: 'not_found' })
      assert.equal(registry.fetched[0]?.outcome, 'not_kept')
    }
  })
})

function manifestNaming(blob: Digest, size: number): NewManifest {
  const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: blob, size }
  return { ...looseManifest(`of ${size}`), edges: [{ role: 'layer', descriptor, required: false }] }
}

/** A store of which one method fails. */
function refusing(store: BlobStore, method: 'create' | 'write', error: Error): BlobStore {
  return {
    repository(name): RepositoryBlobs {
      const blobs = store.repository(name)
      return {
        stat: (...given) => blobs.stat(...given),
        open: (...given) => blobs.open(...given),
        presign: (...given) => blobs.presign(...given),
        status: (...given) => blobs.status(...given),
        link: (...given) => blobs.link(...given),
        resume: (...given) => blobs.resume(...given),
        create: async (...given) => {
          if (method === 'create') throw error
          const writer = await blobs.create(...given)
          if (method === 'write')
            Object.defineProperty(writer, 'write', { value: () => Promise.reject(error) })
          return writer
        },
      }
    },
  }
}
