import type { Readable } from 'node:stream'
import type { ApplyLayer, ApplyOptions, LayerReport } from '../apply-layer.ts'
import { showPath } from '../entry-path.ts'
import { LayerApplier } from './layer-applier.ts'
import { fromOutside } from '../layer-errors.ts'
import { readEntries } from '../tar/read-entries.ts'
import { RootTree } from '../tree/root-tree.ts'

/** See {@link ApplyLayer}. */
export async function applyLayer(rootfs: string, tar: Readable, options: ApplyOptions): Promise<LayerReport> {
  let current = 'the root'
  try {
    const applier = new LayerApplier(new RootTree(rootfs), options)
    for await (const entry of readEntries(tar, options)) {
      current = showPath(entry.path)
      await applier.apply(entry)
    }
    current = 'the times of directories'
    applier.finish()
    return applier.report
  } catch (error) {
    throw fromOutside(error, current)
  } finally {
    tar.destroy()
  }
}

applyLayer satisfies ApplyLayer
