import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Admission } from '../../../../src/importer/layer/engine/admission.ts'
import { EngineThread } from '../../../../src/importer/layer/engine/engine-thread.ts'
import { SharedRing } from '../../../../src/importer/layer/engine/shared-ring.ts'
import { type Staffed, ThreadPool } from '../../../../src/importer/layer/engine/thread-pool.ts'
import { type Lane, ThreadedLayer } from '../../../../src/importer/layer/engine/threaded-layer.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { defaultLayerPolicy } from '../../../../src/importer/layer/policy.ts'
import { layerBlob, stalledSource } from '../../../support/layer-blobs.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { file, tar } from '../../../support/tar.ts'

const engine = '../../../../src/importer/layer/engine'
const unruly = './unruly-worker.ts'

function threads(program: string): () => Staffed {
  const file = new URL(program, import.meta.url)
  return () => ({ thread: new EngineThread({ file, heapBytes: 64 * 1024 * 1024 }) })
}

describe('ThreadedLayer', { timeout: 60_000 }, () => {
  const { bytes, promise } = layerBlob(tar(file('a', 'hello')))

  for (const [what, decoder, applier] of [
    ['decodes', unruly, `${engine}/apply-worker.ts`],
    ['applies', `${engine}/decode-worker.ts`, unruly],
  ] as const)
    it(`fails when the thread that ${what} dies, and frees everything else`, async () => {
      await using lanes = new ThreadPool<Lane>(
        () => ({ ...threads(decoder)(), ring: SharedRing.ofSize(4096) }),
        60_000,
      )
      await using appliers = new ThreadPool(threads(applier), 60_000)
      const source = stalledSource(bytes.subarray(0, 20))
      let timesClosed = 0
      const layer = new ThreadedLayer({
        source,
        promise,
        limits: defaultLayerLimits,
        policy: defaultLayerPolicy,
        ticket: new Admission({ ahead: 0, applying: 1 }).enter(),
        lanes,
        appliers,
        onClosed: () => timesClosed++,
      })
      using sandbox = new LayerSandbox()
      const error: unknown = await layer.applyTo(sandbox.rootfs).catch((reason: unknown) => reason)
      assert.ok(error instanceof Error)
      assert.match(error.message, /^the thread that worked on the layer ended with code 1/)
      assert.match(String(error.cause), /something unforeseen/)
      assert.equal(source.destroyed, true)
      await layer[Symbol.asyncDispose]()
      assert.equal(timesClosed, 1)
      const [dead, alive] = what === 'decodes' ? [lanes, appliers] : [appliers, lanes]
      assert.deepEqual([dead.size, alive.size], [0, 1])
      assert.equal(alive.take().thread.isAlive, true)
    })
})
