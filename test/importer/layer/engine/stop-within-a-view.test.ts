import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs, { readdirSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { describe, it, mock } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { applyFromRing } from '../../../../src/importer/layer/engine/apply-from-ring.ts'
import { SharedRing } from '../../../../src/importer/layer/engine/shared-ring.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { defaultLayerPolicy } from '../../../../src/importer/layer/policy.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { file, tar } from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

describe('a stop while entries of one view are applied', { skip, timeout: 60_000 }, () => {
  it('is seen within 250 entries, not only before the next view of the ring is asked for', async () => {
    using sandbox = new LayerSandbox()
    const ring = SharedRing.ofSize(8 * 1024 * 1024)
    await ring.write(tar(...Array.from({ length: 1000 }, (_, index) => file(`f${index}`))))
    ring.end()
    const { port1, port2 } = new MessageChannel()
    const answers: unknown[] = []
    port1.on('message', answer => answers.push(answer))
    const closed = once(port1, 'close')
    const { closeSync } = fs
    const stopping = mock.method(fs, 'closeSync', (descriptor: number) => {
      closeSync(descriptor)
      ring.stop()
    })
    syncBuiltinESMExports()
    try {
      const job = { ring: ring.memory, rootfs: sandbox.rootfs, limits: defaultLayerLimits }
      await applyFromRing({ ...job, port: port2, policy: defaultLayerPolicy })
    } finally {
      stopping.mock.restore()
      syncBuiltinESMExports()
    }
    await closed
    const { length } = readdirSync(sandbox.rootfs)
    assert.ok(length > 0 && length <= 250, `${length} files were made`)
    assert.deepEqual(answers, [{ type: 'stopped' }])
  })
})
