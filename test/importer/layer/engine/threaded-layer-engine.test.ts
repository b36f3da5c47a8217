import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import zlib from 'node:zlib'
import fc from 'fast-check'
import { isAbort } from '../../../../src/errors.ts'
import { ThreadedLayerEngine } from '../../../../src/importer/layer/engine/threaded-layer-engine.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { layerEngineContract } from '../../../contract/layer-engine.ts'
import { compareTrees } from '../../../support/compare-trees.ts'
import { layerBlob, plainLayer, sourceOf, stalledSource } from '../../../support/layer-blobs.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { exec } from '../../../support/process.ts'
import { rejectsWith } from '../../../support/rejects.ts'
import { file, tar } from '../../../support/tar.ts'

layerEngineContract('ThreadedLayerEngine', () => new ThreadedLayerEngine())
layerEngineContract(
  'ThreadedLayerEngine with the smallest buffers and one layer at a time',
  () => new ThreadedLayerEngine({ bufferBytes: 1, ahead: 0, applying: 1 }),
)

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'
const kibibyte = 1024

describe('ThreadedLayerEngine', { skip, timeout: 120_000 }, () => {
  const small = layerBlob(tar(file('a', 'hello')))
  const filesOf = (count: number, bytes = 100): Buffer =>
    tar(...Array.from({ length: count }, (_, index) => file(`f${index}`, Buffer.alloc(bytes, `${index} `))))

  it('makes the same tree of thousands of files, which more than one thread finishes, as of few', async () => {
    const parts = Array.from({ length: 2500 }, (_, index) =>
      file(`d${index % 7}/f${index}`, Buffer.alloc((index * 37) % 5000, `${index} `), {
        mode: index % 3 === 0 ? 0o4755 : 0o644,
        uid: index % 5,
        gid: index % 3,
        mtime: index,
      }),
    )
    await using engine = new ThreadedLayerEngine()
    using together = new LayerSandbox()
    using apart = new LayerSandbox()
    for (let time = 0; time < 2; time++) {
      const { bytes, promise } = layerBlob(tar(...parts))
      const report = await engine.open(sourceOf(bytes), promise).applyTo(together.rootfs)
      const pieces = [parts.slice(0, 900), parts.slice(900)].map(piece => apart.apply(tar(...piece)))
      const reports = await Promise.all(pieces)
      assert.deepEqual(
        [report.entries, report.bytes],
        [
          reports.reduce((sum, { entries }) => sum + entries, 0),
          reports.reduce((sum, { bytes }) => sum + bytes, 0),
        ],
      )
      const undefinedTimes = new Set(['.', ...Array.from({ length: 7 }, (_, index) => `d${index}`)])
      assert.deepEqual(compareTrees(together.tree(), apart.tree(), { undefinedTimes }), [])
    }
  })

  it('leaves no file open when it is ended while files are finished', async () => {
    using sandbox = new LayerSandbox()
    const { bytes, promise } = layerBlob(filesOf(3000))
    const engine = new ThreadedLayerEngine()
    let isGiven = false
    const source = new Readable({
      read() {
        if (!isGiven) this.push(bytes.subarray(0, bytes.length - 100))
        isGiven = true
      },
    })
    const applying = rejectsWith('unavailable', engine.open(source, promise).applyTo(sandbox.rootfs))
    while (readdirSync(sandbox.rootfs).length < 1500) await sleep(1)
    await engine[Symbol.asyncDispose]()
    await applying
    const open = readdirSync('/proc/self/fd').flatMap(descriptor => {
      try {
        return [readlinkSync(`/proc/self/fd/${descriptor}`)]
      } catch {
        return []
      }
    })
    assert.deepEqual(
      open.filter(path => path.startsWith(sandbox.rootfs)),
      [],
    )
  })

  it('uses the same two threads for fifty layers', async () => {
    await using engine = new ThreadedLayerEngine()
    using sandbox = new LayerSandbox()
    for (let layer = 0; layer < 50; layer++) {
      await engine.open(sourceOf(small.bytes), small.promise).applyTo(sandbox.rootfs)
      assert.deepEqual(engine.threads, { decoding: 1, applying: 1 })
    }
  })

  it('has no more threads than places, however many layers are open', async () => {
    await using engine = new ThreadedLayerEngine({ ahead: 2, applying: 1 })
    const layers = Array.from({ length: 20 }, () => engine.open(sourceOf(small.bytes), small.promise))
    await Promise.all(
      layers.map(async layer => {
        using sandbox = new LayerSandbox()
        await layer.applyTo(sandbox.rootfs)
      }),
    )
    assert.deepEqual(engine.threads, { decoding: 3, applying: 1 })
  })

  it('gives up a layer whose source keeps it waiting for longer than maxSeconds', async () => {
    await using engine = new ThreadedLayerEngine({ limits: { ...defaultLayerLimits, maxSeconds: 1 } })
    using sandbox = new LayerSandbox()
    const source = stalledSource(small.bytes.subarray(0, 20))
    await rejectsWith('too_large', engine.open(source, small.promise).applyTo(sandbox.rootfs))
    assert.equal(source.destroyed, true)
  })

  it('does not read the source of a layer that has no place yet', async () => {
    await using engine = new ThreadedLayerEngine({ ahead: 1, applying: 1 })
    engine.open(stalledSource(), small.promise)
    const waiting = countedSource(small.bytes)
    const layer = engine.open(waiting.source, small.promise)
    await sleep(50)
    assert.equal(waiting.reads(), 0)
    using sandbox = new LayerSandbox()
    await layer.applyTo(sandbox.rootfs)
    assert.ok(waiting.reads() > 0)
  })

  it('decompresses ahead as far as its buffers go, and no further', async () => {
    const bytes = filesOf(1, 8_000 * kibibyte)
    const large = layerBlob(bytes, bytes, plainLayer)
    await using engine = new ThreadedLayerEngine({ bufferBytes: 64 * kibibyte })
    const { source, given } = countedSource(bytes)
    const layer = engine.open(source, large.promise)
    while (given() < 64 * kibibyte) await sleep(5)
    for (let before = -1; before !== given(); await sleep(50)) before = given()
    assert.ok(given() < bytes.length / 2, `${given()} bytes of ${bytes.length} were read ahead`)
    using sandbox = new LayerSandbox()
    assert.equal((await layer.applyTo(sandbox.rootfs)).bytes, 8_000 * kibibyte)
  })

  it('never makes a layer whose turn has come wait for layers that are only ahead', async () => {
    await using engine = new ThreadedLayerEngine({ ahead: 2, applying: 1, bufferBytes: 4 * kibibyte })
    const large = layerBlob(filesOf(100, 1000))
    for (let ahead = 0; ahead < 4; ahead++) engine.open(sourceOf(large.bytes), large.promise)
    using sandbox = new LayerSandbox()
    const last = engine.open(sourceOf(large.bytes), large.promise)
    assert.equal((await last.applyTo(sandbox.rootfs)).entries, 100)
  })

  it('writes every byte where it belongs, though the ring is much smaller than the layer', async () => {
    await using engine = new ThreadedLayerEngine({ bufferBytes: 4 * kibibyte, applying: 1 })
    const file1 = fc.record({
      name: fc.stringMatching(/^[a-z]{1,120}$/),
      content: fc.uint8Array({ maxLength: 20_000, size: 'max' }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(file1, { maxLength: 12, selector: ({ name }) => name }),
        async files => {
          using sandbox = new LayerSandbox()
          const { bytes, promise } = layerBlob(tar(...files.map(({ name, content }) => file(name, content))))
          await engine.open(sourceOf(bytes, 1000), promise).applyTo(sandbox.rootfs)
          for (const { name, content } of files)
            assert.deepEqual(new Uint8Array(readFileSync(join(sandbox.rootfs, name))), content)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('writes nothing more after an abort, at whatever moment it comes, and is as good as new', async () => {
    await using engine = new ThreadedLayerEngine({ bufferBytes: 16 * kibibyte })
    const many = layerBlob(filesOf(400))
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 60 }), fc.boolean(), async (milliseconds, stalls) => {
        using sandbox = new LayerSandbox()
        const part = many.bytes.subarray(0, Math.floor(many.bytes.length / 2))
        const source = stalls ? stalledSource(part) : sourceOf(many.bytes, 500)
        const signal = AbortSignal.timeout(milliseconds)
        const failure = await engine
          .open(source, many.promise)
          .applyTo(sandbox.rootfs, { signal })
          .then(
            () => undefined,
            (error: unknown) => error,
          )
        if (stalls || failure !== undefined) assert.equal(failure, signal.reason)
        assert.equal(source.destroyed, true)
        const names = sandbox.names()
        await sleep(5)
        assert.deepEqual(sandbox.names(), names)
        using next = new LayerSandbox()
        await engine.open(sourceOf(small.bytes), small.promise).applyTo(next.rootfs)
        assert.deepEqual(next.names(), ['a'])
      }),
      { numRuns: 25 },
    )
    assert.ok(engine.threads.applying <= 1)
  })

  it('stops early: entries that are in the ring already are not applied after an abort', async () => {
    await using engine = new ThreadedLayerEngine()
    const many = layerBlob(filesOf(20_000))
    using sandbox = new LayerSandbox()
    const controller = new AbortController()
    const applying = engine.open(sourceOf(many.bytes), many.promise).applyTo(sandbox.rootfs, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    })
    await assert.rejects(applying, isAbort)
    assert.ok(sandbox.names().length < 20_000)
  })

  it('outlives threads that run out of memory, and says what has happened', async () => {
    await using engine = new ThreadedLayerEngine({ heapBytes: 6 * kibibyte * kibibyte })
    using sandbox = new LayerSandbox()
    for (let time = 0; time < 2; time++) {
      const layer = engine.open(sourceOf(small.bytes), small.promise)
      const error = await rejectsWith('too_large', layer.applyTo(sandbox.rootfs))
      assert.match(error.message, /6 MiB of memory/)
    }
  })

  it('neither hashes nor decompresses on the thread that calls', async t => {
    await using engine = new ThreadedLayerEngine()
    using sandbox = new LayerSandbox()
    const { bytes, promise } = layerBlob(filesOf(300, 3000))
    const mocks = [t.mock.method(crypto, 'createHash'), t.mock.method(zlib, 'createGunzip')]
    syncBuiltinESMExports()
    try {
      await engine.open(sourceOf(bytes), promise).applyTo(sandbox.rootfs)
    } finally {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    }
    assert.deepEqual(
      mocks.map(({ mock }) => mock.callCount()),
      [0, 0],
    )
  })

  it('goes on with other work of its thread while a layer is applied', async () => {
    await using engine = new ThreadedLayerEngine()
    using sandbox = new LayerSandbox()
    const many = layerBlob(filesOf(3000))
    let turns = 0
    let isDone = false
    const applying = engine
      .open(sourceOf(many.bytes), many.promise)
      .applyTo(sandbox.rootfs)
      .finally(() => {
        isDone = true
      })
    for (; !isDone; turns++) await sleep(1)
    await applying
    assert.ok(turns > 10, `${turns} turns`)
  })

  it('ends threads that have nothing to do, and starts them again', async () => {
    await using engine = new ThreadedLayerEngine({ idleMs: 1 })
    using sandbox = new LayerSandbox()
    for (let time = 0; time < 2; time++) {
      await engine.open(sourceOf(small.bytes), small.promise).applyTo(sandbox.rootfs)
      while (engine.threads.decoding + engine.threads.applying > 0) await sleep(5)
    }
  })

  it('does not keep the process alive when it has nothing to do', async () => {
    using sandbox = new LayerSandbox()
    const program = join(import.meta.dirname, 'apply-and-leave.ts')
    assert.equal(await exec(process.execPath, [program, sandbox.rootfs]), 'applied 1\n')
  })
})

/** A source that tells how often it was asked, and how many bytes it has given. */
function countedSource(bytes: Buffer): { source: Readable; reads: () => number; given: () => number } {
  const chunkBytes = 16 * kibibyte
  let reads = 0
  let offset = 0
  const source = new Readable({
    read() {
      reads++
      this.push(offset < bytes.length ? bytes.subarray(offset, offset + chunkBytes) : null)
      offset += chunkBytes
    },
  })
  return { source, reads: () => reads, given: () => Math.min(offset, bytes.length) }
}
