import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { request } from 'undici'
import { loadConfig } from '../../src/config.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { pushMany } from '../support/upload-load.ts'

const MiB = 1024 * 1024

/**
 * Beside the buffers: 164 MiB for Node and the program, whose types it strips itself; 40 MiB by which V8 lets the heap
 * of a busy process grow; 64 MiB of chunks that are dead and not collected yet, of which V8 looks after no less; and
 * 32 MiB for 64 connections with half a MiB each on its way through sockets and streams.
 */
const baseBytes = (164 + 40 + 64 + 32) * MiB

describe('64 uploads of 64 MiB at once', () => {
  it('all succeed, in the memory that the configuration allows', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await serveRegistry(directory.path, '--log-level', 'info')
    await pushMany({ url: registry.url, uploads: 64, bytes: 64 * MiB })
    const { uploadMemoryBytes } = loadConfig({ environment: {} }).config.registry
    const peak = await registry.peakBytes()
    assert.ok(peak < uploadMemoryBytes + baseBytes, `${Math.round(peak / MiB)} MiB were resident`)
    const metrics = await (await request(`${registry.debugUrl}/metrics`)).body.text()
    assert.match(metrics, /^varve_upload_buffered_bytes 0$/m)
    assert.match(metrics, /^varve_uploads_open 0$/m)
    assert.equal(await registry.stop(), 0)
  })
})
