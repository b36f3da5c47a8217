/** Applies one layer: `engine-program.ts FILE ROOTFS PROMISE`, where the promise is JSON. Prints the report. */
import { createReadStream } from 'node:fs'
import type { LayerPromise } from '../../src/importer/layer/decode/decompress.ts'
import { ThreadedLayerEngine } from '../../src/importer/layer/engine/threaded-layer-engine.ts'

const [file = '', rootfs = '', promise = '{}'] = process.argv.slice(2)
await using engine = new ThreadedLayerEngine()
const source = createReadStream(file, { highWaterMark: 1024 * 1024 })
await using layer = engine.open(source, JSON.parse(promise) as LayerPromise)
console.log(JSON.stringify(await layer.applyTo(rootfs)))
