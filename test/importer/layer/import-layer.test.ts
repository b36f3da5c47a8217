import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { isAbort } from '../../../src/errors.ts'
import type { LayerReport } from '../../../src/importer/layer/apply-layer.ts'
import { applyBlob, type ApplyBlobOptions } from '../../../src/importer/layer/import-layer.ts'
import type { LayerProgress } from '../../../src/importer/layer/layer-engine.ts'
import { defaultLayerLimits } from '../../../src/importer/layer/limits.ts'
import { digestOf, parseDiffId } from '../../../src/storage/digest.ts'
import { LayerSandbox } from '../../support/layer-sandbox.ts'
import { file, gzipOf, tar } from '../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

function promiseFor(layer: Uint8Array, blob: Uint8Array): ApplyBlobOptions {
  return {
    mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    blob: digestOf(blob),
    size: blob.length,
    diffId: parseDiffId(digestOf(layer)),
    limits: defaultLayerLimits,
  }
}

describe('applyBlob', { skip, timeout: 60_000 }, () => {
  const layer = tar(file('a', 'hello'))
  const blob = gzipOf(layer)

  it('applies a layer and reports how much of the blob has come', async () => {
    using sandbox = new LayerSandbox()
    const many = tar(...Array.from({ length: 300 }, (_, index) => file(`f${index}`)))
    const seen: LayerProgress[] = []
    const report: LayerReport = await applyBlob(sandbox.rootfs, Readable.from([gzipOf(many)]), {
      ...promiseFor(many, gzipOf(many)),
      onProgress: progress => seen.push(progress),
    })
    assert.equal(report.entries, 300)
    assert.deepEqual(
      seen.map(({ entries, blobBytes }) => [entries, blobBytes]),
      [[250, gzipOf(many).length]],
    )
  })

  it('applies an empty blob as an empty layer', async () => {
    using sandbox = new LayerSandbox()
    const nothing = new Uint8Array()
    const report = await applyBlob(sandbox.rootfs, Readable.from([]), promiseFor(nothing, nothing))
    assert.equal(report.entries, 0)
  })

  for (const [what, change, code] of [
    ['the blob is another one (S-34)', { blob: digestOf(layer) }, 'digest_mismatch'],
    ['the diff ID is another one (S-34)', { diffId: parseDiffId(digestOf(blob)) }, 'digest_mismatch'],
    ['the blob is shorter (S-34)', { size: blob.length + 1 }, 'size_mismatch'],
    ['the blob is longer (S-34)', { size: blob.length - 1 }, 'size_mismatch'],
  ] as const)
    it(`fails when ${what}`, async () => {
      using sandbox = new LayerSandbox()
      const source = Readable.from([blob])
      const applying = applyBlob(sandbox.rootfs, source, { ...promiseFor(layer, blob), ...change })
      await assert.rejects(applying, { name: 'DomainError', code })
      assert.equal(source.destroyed, true)
    })

  it('checks what comes after the end-of-archive too (S-31)', async () => {
    using sandbox = new LayerSandbox()
    const longer = Buffer.concat([layer, file('evil'), Buffer.alloc(100_000)])
    const report = await applyBlob(
      sandbox.rootfs,
      Readable.from([gzipOf(longer)]),
      promiseFor(longer, gzipOf(longer)),
    )
    assert.equal(report.entries, 1)
    assert.equal(readFileSync(join(sandbox.rootfs, 'a'), 'utf8'), 'hello')
    const wrong = { ...promiseFor(longer, gzipOf(longer)), diffId: parseDiffId(digestOf(layer)) }
    await assert.rejects(applyBlob(sandbox.rootfs, Readable.from([gzipOf(longer)]), wrong), {
      code: 'digest_mismatch',
    })
  })

  it('destroys its source when the layer is refused', async () => {
    using sandbox = new LayerSandbox()
    const bad = gzipOf(Buffer.concat([file('../x'), Buffer.alloc(1_000_000)]))
    const source = new Readable({ read() {} })
    source.push(bad)
    await assert.rejects(applyBlob(sandbox.rootfs, source, promiseFor(bad, bad)), { code: 'invalid' })
    assert.equal(source.destroyed, true)
  })

  it('hands a failure of its source on', async () => {
    using sandbox = new LayerSandbox()
    const failure = new Error('the network is gone')
    const source = new Readable({ read() {} })
    source.push(blob.subarray(0, 10))
    setTimeout(() => source.destroy(failure), 10)
    await assert.rejects(applyBlob(sandbox.rootfs, source, promiseFor(layer, blob)), failure)
  })

  it('calls a source that is closed before its end unavailable', async () => {
    using sandbox = new LayerSandbox()
    const source = new Readable({ read() {} })
    source.push(blob.subarray(0, 10))
    setTimeout(() => source.destroy(), 10)
    await assert.rejects(applyBlob(sandbox.rootfs, source, promiseFor(layer, blob)), { code: 'unavailable' })
  })

  it('destroys its source when aborted, before it begins and while it waits', async () => {
    using sandbox = new LayerSandbox()
    for (const signal of [AbortSignal.abort(), AbortSignal.timeout(20)]) {
      const source = new Readable({ read() {} })
      source.push(blob.subarray(0, 10))
      const applying = applyBlob(sandbox.rootfs, source, { ...promiseFor(layer, blob), signal })
      await assert.rejects(applying, isAbort)
      assert.equal(source.destroyed, true)
    }
  })
})
