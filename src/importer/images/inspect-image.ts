import type { Abortable } from '../../storage/abortable.ts'
import { parseImageConfig } from '../../storage/image-config.ts'
import type { ChainSnapshot, ChainStore } from '../chain/chain-store.ts'
import type { InspectedImage, InspectedLayer } from '../import-service.ts'
import type { RecordedLayer, WholeImageRecord } from './image-catalog.ts'
import { type ImageUse, summaryOf } from './image-record.ts'
import { tritonImageOfRecord } from './record-for-triton.ts'

/** What the image's record says, with what the chain store remembers of its layers. */
export async function inspectImage(
  chains: ChainStore,
  record: WholeImageRecord,
  use: ImageUse,
  options: Abortable & { readonly kernelVersion?: string | undefined } = {},
): Promise<InspectedImage> {
  const snapshots = await chains.findAll(
    record.layers.map(({ chainId }) => chainId),
    options,
  )
  const config = parseImageConfig(Buffer.from(record.config))
  return {
    ...summaryOf(record, use),
    layers: record.layers.map(layer => inspected(layer, snapshots.get(layer.chainId))),
    config: JSON.parse(record.config) as unknown,
    process: config.process,
    triton: tritonImageOfRecord(record, { kernelVersion: options.kernelVersion }),
  }
}

function inspected(
  { blob, diffId, chainId, size }: RecordedLayer,
  snapshot: ChainSnapshot | undefined,
): InspectedLayer {
  if (snapshot === undefined) return { blob, diffId, chainId, size }
  const { entries, bytes, notes } = snapshot.facts
  return { blob, diffId, chainId, size, applied: { location: snapshot.location, entries, bytes, notes } }
}
