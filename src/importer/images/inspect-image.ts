import type { Abortable } from '../../storage/abortable.ts'
import type { ChainId } from '../../storage/chain-id.ts'
import { parseImageConfig } from '../../storage/image-config.ts'
import type { ChainSnapshot, ChainStore } from '../chain/chain-store.ts'
import type { InspectedImage, InspectedLayer } from '../import-service.ts'
import { tritonImageOf } from '../smartos/triton-image.ts'
import type { ImageRecord, RecordedLayer } from './image-catalog.ts'
import { summaryOf } from './image-record.ts'

/** What the image's record says, with what the chain store remembers of its layers. */
export async function inspectImage(
  chains: ChainStore,
  record: ImageRecord,
  options?: Abortable,
): Promise<InspectedImage> {
  const snapshots = await snapshotsOf(chains, record.layers, options)
  const { configDigest, importedAt, names } = record
  const config = parseImageConfig(Buffer.from(record.config))
  const blobs = record.layers.map(({ blob }) => blob)
  return {
    ...summaryOf(record),
    layers: record.layers.map(layer => inspected(layer, snapshots.get(layer.chainId))),
    process: config.process,
    triton: tritonImageOf({ name: names[0], config, configDigest, blobs, importedAt }),
  }
}

/** One walk for all layers: asking for each would be a command each. */
async function snapshotsOf(
  chains: ChainStore,
  layers: readonly RecordedLayer[],
  options?: Abortable,
): Promise<ReadonlyMap<ChainId, ChainSnapshot>> {
  const wanted = new Set(layers.map(({ chainId }) => chainId))
  const found = new Map<ChainId, ChainSnapshot>()
  for await (const one of chains.walk(options))
    if (one.kind === 'snapshot' && wanted.has(one.chain)) found.set(one.chain, one)
  return found
}

function inspected(
  { blob, diffId, chainId, size }: RecordedLayer,
  snapshot: ChainSnapshot | undefined,
): InspectedLayer {
  if (snapshot === undefined) return { blob, diffId, chainId, size }
  const { entries, bytes, notes } = snapshot.facts
  return { blob, diffId, chainId, size, applied: { location: snapshot.location, entries, bytes, notes } }
}
