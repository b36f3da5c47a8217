import { randomFillSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ChainStore } from '../../src/importer/chain/chain-store.ts'
import { type ChainId, chainIdsOf } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'
import { exec } from '../../test/support/process.ts'

export interface RandomChain {
  readonly chain: ChainId
  readonly location: string
}

export const fileBytes = 10 ** 6

/** A chain of one layer with so many bytes of random files in it, written past the importer, which need not be measured here. */
export async function makeRandomChain(store: ChainStore, bytes: number): Promise<RandomChain> {
  const diffId = parseDiffId(digestOf(Buffer.from(`${bytes} random bytes`)))
  const [chain] = chainIdsOf([diffId])
  if (chain === undefined) throw new Error('one layer makes one chain')
  await using builder = await store.extend(null)
  writeRandomFiles(builder.rootfs, bytes)
  await exec('sync', [])
  const facts = { diffId, blob: digestOf(Buffer.of()), parent: null, entries: bytes / fileBytes, bytes }
  const { location } = await builder.commit(chain, facts, { isLast: true })
  return { chain, location }
}

/** A hundred files in each directory. */
export function writeRandomFiles(directory: string, bytes: number): void {
  const content = Buffer.alloc(fileBytes)
  for (let number = 0; number * fileBytes < bytes; number += 1) {
    const parent = join(directory, String(Math.floor(number / 100)))
    mkdirSync(parent, { recursive: true })
    writeFileSync(join(parent, String(number % 100)), randomFillSync(content))
  }
}
