import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { LayerSandbox } from './layer-sandbox.ts'
import { skipWithout } from './programs.ts'
import { createPool, type TestPool } from './zfs.ts'

/** A file system that layers are applied on. */
export interface LayerPlace {
  readonly kind: 'directory' | 'dataset'
  /** A fresh root in it, with its canary in the same file system. */
  sandbox(): LayerSandbox
  /** The pool; throws in a directory. */
  pool(): TestPool
}

const skipDirectory = process.getuid?.() === 0 ? false : 'layers are applied as root'
const skipDataset = await skipWithout('zfs')

/**
 * Runs the same tests on a directory of the machine's own file system and on a ZFS dataset. The suites of one file
 * follow each other, so that one pool is there at a time.
 */
export function describeInEachPlace(
  title: string,
  { timeout }: { readonly timeout: number },
  tests: (place: LayerPlace) => void,
): void {
  describe(`${title}, in a directory`, { skip: skipDirectory, timeout }, () => {
    let parent = ''
    before(() => {
      parent = mkdtempSync(join(tmpdir(), 'varve-place-'))
    })
    after(() => rmSync(parent, { recursive: true, force: true }))
    tests({
      kind: 'directory',
      sandbox: () => new LayerSandbox(parent),
      pool: () => {
        throw new Error('a directory has no pool')
      },
    })
  })
  describe(`${title}, in a dataset`, { skip: skipDataset, timeout }, () => {
    let pool: TestPool | undefined
    before(async () => {
      pool = await createPool()
    })
    after(async () => {
      await pool?.destroy()
    })
    const opened = (): TestPool => {
      if (pool === undefined) throw new Error('the pool is not there yet')
      return pool
    }
    tests({ kind: 'dataset', sandbox: () => new LayerSandbox(opened().mountpoint), pool: opened })
  })
}
