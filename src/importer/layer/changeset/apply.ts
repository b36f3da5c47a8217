import type { Readable } from 'node:stream'
import type { ApplyLayer, ApplyOptions, LayerReport } from '../apply-layer.ts'
import type { LayerPath } from '../entry.ts'
import { showPath } from '../entry-path.ts'
import { fromOutside } from '../layer-errors.ts'
import { readEntries } from '../tar/read-entries.ts'
import type { DescriptorsOptions } from '../tree/descriptors.ts'
import type { FileFinisher } from '../tree/file-finisher.ts'
import { RootTree } from '../tree/root-tree.ts'
import { LayerApplier } from './layer-applier.ts'

/** With what {@link applyLayer} works. */
export interface ApplyParts extends DescriptorsOptions {
  /** Whoever finishes files elsewhere; for one layer at a time. */
  readonly finisher?: FileFinisher | undefined
}

/** See {@link ApplyLayer}. How the tree is reached is nothing to choose but for tests. */
export async function applyLayer(
  rootfs: string,
  tar: Readable,
  options: ApplyOptions,
  { finisher, ...through }: ApplyParts = {},
): Promise<LayerReport> {
  let current: LayerPath | undefined
  try {
    using tree = new RootTree(rootfs, through)
    const applier = new LayerApplier(tree, { ...options, finisher })
    const onGlobalHeader = applier.noteGlobalHeader.bind(applier)
    for await (const entry of readEntries(tar, { ...options, onGlobalHeader })) {
      current = entry.path
      const unfinished = applier.apply(entry)
      if (unfinished !== undefined) await unfinished
    }
    current = undefined
    applier.finish()
    return applier.report
  } catch (error) {
    throw fromOutside(error, current === undefined ? 'the directories of the tree' : showPath(current))
  } finally {
    finisher?.abandon()
    tar.destroy()
  }
}

applyLayer satisfies ApplyLayer
