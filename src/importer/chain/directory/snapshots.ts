import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChainId } from '../../../storage/chain-id.ts'
import type { ChainSnapshot } from '../chain-store.ts'
import { onDisk } from '../fs-errors.ts'
import { type DirectoryLayout, factsFileOf } from './directory-layout.ts'
import { factsSchema, readRecord } from './record-files.ts'

/** `undefined` when there is no such chain. */
export function readSnapshot(layout: DirectoryLayout, chain: ChainId): Promise<ChainSnapshot | undefined> {
  return snapshotAt(layout.chain(chain))
}

/** In the order of their names. */
export async function* listSnapshots(layout: DirectoryLayout): AsyncGenerator<ChainSnapshot> {
  const names = await onDisk(layout.chains, () => readdir(layout.chains))
  for (const name of names.toSorted()) {
    const snapshot = await snapshotAt(join(layout.chains, name))
    if (snapshot !== undefined) yield snapshot
  }
}

async function snapshotAt(location: string): Promise<ChainSnapshot | undefined> {
  const record = await readRecord(factsFileOf(location), factsSchema)
  if (record === undefined) return undefined
  const { chain, ...facts } = record
  return { kind: 'snapshot', chain, facts, location }
}
