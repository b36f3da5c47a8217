import type { LayerFacts, LayerNotes } from '../../src/importer/chain/chain-store.ts'
import { type ChainId, parseChainId } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'

/** A layer as a chain store sees it: a name for the chain that it ends, and facts. */
export interface FakeLayer {
  readonly chain: ChainId
  readonly facts: LayerFacts & { readonly notes: LayerNotes }
}

/** A made-up layer that is told from others by `text`, on top of `below`. */
export function layerOn(below: FakeLayer | null, text: string): FakeLayer {
  const diffId = parseDiffId(digestOf(Buffer.from(`layer ${text}`)))
  const parent = below?.chain ?? null
  // The rule of storage/chain-id.ts, one step of it.
  const chain = parseChainId(parent === null ? diffId : digestOf(Buffer.from(`${parent} ${diffId}`)))
  const blob = digestOf(Buffer.from(`blob ${text}`))
  const facts = {
    diffId,
    blob,
    parent,
    entries: text.length,
    bytes: text.length * 1000,
    notes: notesOf(text),
  }
  return { chain, facts }
}

function notesOf(text: string): LayerNotes {
  return {
    whiteouts: text.length,
    skippedDevices: 1,
    skippedFifos: 0,
    droppedXattrs: 0,
    warnings: [{ code: 'device-skipped', count: 1, examples: [`dev/${text}=\té"'`] }],
  }
}
