/** A program that applies a layer and closes nothing. */
import { ThreadedLayerEngine } from '../../../../src/importer/layer/engine/threaded-layer-engine.ts'
import { layerBlob, sourceOf } from '../../../support/layer-blobs.ts'
import { file, tar } from '../../../support/tar.ts'

const [rootfs = ''] = process.argv.slice(2)
const { bytes, promise } = layerBlob(tar(file('a')))
const report = await new ThreadedLayerEngine({ idleMs: 3_600_000 })
  .open(sourceOf(bytes), promise)
  .applyTo(rootfs)
process.stdout.write(`applied ${report.entries}\n`)
