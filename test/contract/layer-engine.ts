import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isAbort, isDomainError } from '../../src/errors.ts'
import type { LayerPromise } from '../../src/importer/layer/decode/decompress.ts'
import type { LayerEngine, LayerProgress } from '../../src/importer/layer/layer-engine.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'
import { layerBlob, sourceOf, stalledSource } from '../support/layer-blobs.ts'
import { LayerSandbox } from '../support/layer-sandbox.ts'
import { rejectsWith } from '../support/rejects.ts'
import { dir, file, gzipOf, tar, whiteout } from '../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

/** The executable half of {@link LayerEngine}. */
export function layerEngineContract(name: string, create: () => LayerEngine): void {
  describe(`${name} as a LayerEngine`, { skip, timeout: 120_000 }, () => {
    let engine: LayerEngine
    before(() => {
      engine = create()
    })
    after(async () => await engine[Symbol.asyncDispose]())

    const layer = tar(dir('d', { mtime: 5 }), file('d/a', 'hello', { mode: 0o4711, uid: 7, mtime: 9 }))
    const hello = layerBlob(layer)

    it('applies a layer and reports what it did', async () => {
      using sandbox = new LayerSandbox()
      await using opened = engine.open(sourceOf(hello.bytes), hello.promise)
      // Whether that is known depends on what the host has.
      const { directoryXattrs: _, ...report } = await opened.applyTo(sandbox.rootfs)
      assert.deepEqual(report, {
        entries: 2,
        bytes: 5,
        whiteouts: 0,
        skippedDevices: 0,
        skippedFifos: 0,
        droppedXattrs: 0,
        warnings: [],
      })
      const { mode, uid, gid } = lstatSync(join(sandbox.rootfs, 'd/a'))
      assert.deepEqual([mode & 0o7777, uid, gid], [0o4711, 7, 0])
    })

    it('applies layers on top of each other, opened ahead or not', async () => {
      using sandbox = new LayerSandbox()
      const second = layerBlob(tar(whiteout('d/a'), file('b', 'new')))
      const opened = [hello, second].map(({ bytes, promise }) => engine.open(sourceOf(bytes), promise))
      for (const each of opened) await each.applyTo(sandbox.rootfs)
      assert.deepEqual(sandbox.names(), ['b', 'd/'])
    })

    it('hands on what is known of the directories below', async () => {
      for (const lowerDirectoryXattrs of ['none', undefined] as const) {
        using sandbox = new LayerSandbox()
        await sandbox.apply(layer)
        await using opened = engine.open(sourceOf(hello.bytes), hello.promise)
        const report = await opened.applyTo(sandbox.rootfs, { lowerDirectoryXattrs })
        assert.equal(report.directoryXattrs, lowerDirectoryXattrs)
      }
    })

    it('applies layers in another order than they were opened in, however many are open', async () => {
      const opened = Array.from({ length: 8 }, () => engine.open(sourceOf(hello.bytes), hello.promise))
      for (const each of opened.reverse()) {
        using sandbox = new LayerSandbox()
        assert.equal((await each.applyTo(sandbox.rootfs)).entries, 2)
      }
    })

    it('applies different layers to different roots at the same time', async () => {
      await Promise.all(
        Array.from({ length: 6 }, async (_, index) => {
          using sandbox = new LayerSandbox()
          const content = Buffer.alloc(300_000, `content ${index} `)
          const { bytes, promise } = layerBlob(tar(file('f', content)))
          await engine.open(sourceOf(bytes), promise).applyTo(sandbox.rootfs)
          assert.deepEqual(readFileSync(join(sandbox.rootfs, 'f')), content)
        }),
      )
    })

    it('tells of its progress, with the bytes of the blob', async () => {
      using sandbox = new LayerSandbox()
      const many = layerBlob(tar(...Array.from({ length: 600 }, (_, index) => file(`f${index}`))))
      const seen: LayerProgress[] = []
      const opened = engine.open(sourceOf(many.bytes), many.promise)
      const report = await opened.applyTo(sandbox.rootfs, { onProgress: progress => seen.push(progress) })
      assert.ok(seen.length > 0)
      for (const { entries, blobBytes } of seen) {
        assert.ok(entries > 0 && entries <= report.entries)
        assert.ok(blobBytes > 0 && blobBytes <= many.bytes.length)
      }
    })

    it('applies an empty blob as an empty layer', async () => {
      using sandbox = new LayerSandbox()
      const { bytes, promise } = layerBlob(new Uint8Array(), Buffer.alloc(0))
      const report = await engine.open(sourceOf(bytes), promise).applyTo(sandbox.rootfs)
      assert.equal(report.entries, 0)
    })

    const other = parseDiffId(digestOf(Buffer.from('another layer')))
    const broken: readonly (readonly [
      what: string,
      change: Partial<LayerPromise>,
      code: 'digest_mismatch' | 'size_mismatch',
    ])[] = [
      ['S-34: the blob is another one', { blob: other }, 'digest_mismatch'],
      ['S-34: the diff ID is another one', { diffId: other }, 'digest_mismatch'],
      ['S-34: the blob is shorter', { size: hello.bytes.length + 1 }, 'size_mismatch'],
      ['S-34: the blob is longer', { size: hello.bytes.length - 1 }, 'size_mismatch'],
      ['the diff ID is not the one that this host has computed', { knownDiffId: other }, 'digest_mismatch'],
      [
        'the blob is another one than the one whose diff ID is known',
        { blob: other, knownDiffId: hello.promise.diffId },
        'digest_mismatch',
      ],
    ]
    for (const [what, change, code] of broken)
      it(`fails when ${what}`, async () => {
        using sandbox = new LayerSandbox()
        const source = sourceOf(hello.bytes)
        const opened = engine.open(source, { ...hello.promise, ...change })
        const error = await rejectsWith(code, opened.applyTo(sandbox.rootfs))
        assert.equal(error.details.resource, 'layer')
        assert.equal(source.destroyed, true)
      })

    it('takes a diff ID that is known for the verdict on the tar stream', async () => {
      using sandbox = new LayerSandbox()
      const promise = { ...hello.promise, knownDiffId: hello.promise.diffId }
      await engine.open(sourceOf(hello.bytes), promise).applyTo(sandbox.rootfs)
      assert.equal(readFileSync(join(sandbox.rootfs, 'd/a'), 'utf8'), 'hello')
    })

    it('S-31: verifies what comes after the end-of-archive too', async () => {
      using sandbox = new LayerSandbox()
      const longer = layerBlob(Buffer.concat([layer, file('evil'), Buffer.alloc(3_000_000)]))
      const report = await engine.open(sourceOf(longer.bytes), longer.promise).applyTo(sandbox.rootfs)
      assert.equal(report.entries, 2)
      const wrong = { ...longer.promise, diffId: hello.promise.diffId }
      const opened = engine.open(sourceOf(longer.bytes), wrong)
      await rejectsWith('digest_mismatch', opened.applyTo(sandbox.rootfs))
    })

    it('fails as the layer does, destroys its source and goes on with the next layer', async () => {
      const evil = layerBlob(Buffer.concat([file('../x'), Buffer.alloc(1_000_000)]))
      const source = stalledSource(evil.bytes)
      using sandbox = new LayerSandbox()
      const error = await rejectsWith('invalid', engine.open(source, evil.promise).applyTo(sandbox.rootfs))
      assert.match(error.message, /^The layer cannot be applied: .*\.\.\/x/)
      assert.equal(source.destroyed, true)
      await engine.open(sourceOf(hello.bytes), hello.promise).applyTo(sandbox.rootfs)
    })

    it('fails when the root is not there', async () => {
      const opened = engine.open(sourceOf(hello.bytes), hello.promise)
      await assert.rejects(opened.applyTo('/nonexistent/rootfs'), isDomainError)
    })

    it('hands a failure of its source on, whenever it fails', async () => {
      using sandbox = new LayerSandbox()
      const failure = new Error('the network is gone')
      const early = stalledSource()
      const opened = engine.open(early, hello.promise)
      early.destroy(failure)
      await new Promise(resolve => setImmediate(resolve))
      await assert.rejects(opened.applyTo(sandbox.rootfs), failure)

      const late = stalledSource(hello.bytes.subarray(0, 20))
      const applying = engine.open(late, hello.promise).applyTo(sandbox.rootfs)
      setTimeout(() => late.destroy(failure), 20)
      await assert.rejects(applying, failure)
    })

    it('calls a source that is closed before its end unavailable', async () => {
      using sandbox = new LayerSandbox()
      for (const delay of [0, 20]) {
        const source = stalledSource(hello.bytes.subarray(0, 20))
        const applying = engine.open(source, hello.promise).applyTo(sandbox.rootfs)
        setTimeout(() => source.destroy(), delay)
        await rejectsWith('unavailable', applying)
      }
    })

    it('stops when it is aborted, before it begins and while it waits, and leaves no listener', async () => {
      using sandbox = new LayerSandbox()
      for (const delay of [undefined, 0, 30]) {
        const controller = new AbortController()
        const { signal } = controller
        const source = stalledSource(hello.bytes.subarray(0, 20))
        const opened = engine.open(source, hello.promise)
        if (delay === undefined) controller.abort()
        const applying = opened.applyTo(sandbox.rootfs, { signal })
        setTimeout(() => controller.abort(), delay)
        await assert.rejects(applying, isAbort)
        assert.equal(source.destroyed, true)
        assert.equal(getEventListeners(signal, 'abort').length, 0)
      }
    })

    it('fails with the reason of the signal', async () => {
      using sandbox = new LayerSandbox()
      const reason = new Error('the user has gone')
      const opened = engine.open(stalledSource(), hello.promise)
      await assert.rejects(opened.applyTo(sandbox.rootfs, { signal: AbortSignal.abort(reason) }), reason)
    })

    it('leaves no listener on the signal of a layer that was applied', async () => {
      using sandbox = new LayerSandbox()
      const { signal } = new AbortController()
      await engine.open(sourceOf(hello.bytes), hello.promise).applyTo(sandbox.rootfs, { signal })
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    })

    it('gives a layer up that is closed before it was applied', async () => {
      const sources = [stalledSource(), stalledSource(hello.bytes.subarray(0, 20)), sourceOf(hello.bytes)]
      for (const source of sources) {
        const opened = engine.open(source, hello.promise)
        await opened[Symbol.asyncDispose]()
        await opened[Symbol.asyncDispose]()
        assert.equal(source.destroyed, true)
      }
    })

    it('stops a layer that is closed while it is applied', async () => {
      using sandbox = new LayerSandbox()
      const source = stalledSource(hello.bytes.subarray(0, 20))
      const opened = engine.open(source, hello.promise)
      const applying = assert.rejects(opened.applyTo(sandbox.rootfs))
      await opened[Symbol.asyncDispose]()
      await applying
      assert.equal(source.destroyed, true)
    })

    it('applies a layer once', async () => {
      using sandbox = new LayerSandbox()
      const opened = engine.open(sourceOf(hello.bytes), hello.promise)
      await opened.applyTo(sandbox.rootfs)
      await assert.rejects(opened.applyTo(sandbox.rootfs), /once/)
    })

    it('gives everything up when it is closed itself', async () => {
      using sandbox = new LayerSandbox()
      const closing = create()
      const source = stalledSource(hello.bytes.subarray(0, 20))
      const ahead = stalledSource()
      closing.open(ahead, hello.promise)
      const applying = rejectsWith('unavailable', closing.open(source, hello.promise).applyTo(sandbox.rootfs))
      await closing[Symbol.asyncDispose]()
      await applying
      assert.deepEqual([source.destroyed, ahead.destroyed], [true, true])
      const late = closing.open(sourceOf(hello.bytes), hello.promise)
      await rejectsWith('unavailable', late.applyTo(sandbox.rootfs))
    })

    it('reads gzip of many members and plain tar under a gzip type', async () => {
      using sandbox = new LayerSandbox()
      const members = layerBlob(layer, gzipOf(layer.subarray(0, 700), layer.subarray(700)))
      const plain = layerBlob(layer, layer)
      for (const { bytes, promise } of [members, plain])
        assert.equal((await engine.open(sourceOf(bytes), promise).applyTo(sandbox.rootfs)).entries, 2)
    })
  })
}
