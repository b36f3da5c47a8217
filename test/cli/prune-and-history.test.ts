/** The commands as a person runs them, on a store of directories. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../src/importer/chain/directory/directory-chain-store.ts'
import { DirectoryImageCatalog } from '../../src/importer/images/directory-image-catalog.ts'
import type { LineageHistory, PruneReport } from '../../src/importer/import-service.ts'
import { buildLayer } from '../contract/chain-store/suite.ts'
import { layerOn } from '../support/fake-layers.ts'
import { imageRecord } from '../support/image-records.ts'
import { skipWithout } from '../support/programs.ts'
import { runVarve } from '../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const bottom = layerOn(null, 'bottom')
const top = layerOn(bottom, 'top')
const old = new Date('2026-01-02T03:04:05.678Z')

describe('varve prune and varve history', { skip: await skipWithout('cp', 'sync') }, () => {
  let directory: TemporaryDirectory
  let chains = ''
  before(async () => {
    directory = await temporaryDirectory()
    chains = join(directory.path, 'chains')
    const store = await DirectoryChainStore.open({ directory: chains })
    await buildLayer(store, null, bottom, 'bottom')
    await buildLayer(store, bottom, top, 'top')
    const catalog = new DirectoryImageCatalog(store.recordsDirectory)
    await catalog.put(imageRecord('x/bottom:1', [bottom], old))
    await catalog.put(imageRecord('x/top:1', [bottom, top], old))
    await store.clone(bottom.chain, parseCloneName('web1'))
  })
  after(() => directory.remove())

  const run = (...args: readonly string[]) =>
    runVarve([...args, '--chains', chains, '--data', directory.path])

  it('draws what there is, and gives it as JSON', async () => {
    const drawn = await run('history')
    assert.equal(drawn.code, 0, drawn.stderr)
    const lines = drawn.stdout
      .trimEnd()
      .split('\n')
      .map(line => line.replace(/^\W*/, ''))
    assert.match(lines[0] ?? '', /^.*chains\/chains\/[0-9a-f]{64}$/)
    assert.match(lines[1] ?? '', /^[0-9a-f]{12} {2}5\.9 KiB, 6 entries, /)
    assert.deepEqual(lines.slice(2, 4), ['image x/bottom:1', 'clone web1'])
    assert.deepEqual([lines.length, lines[5]], [6, 'image x/top:1'])
    const [lineage, ...others] = JSON.parse((await run('history', '--json')).stdout) as LineageHistory[]
    assert.deepEqual(others, [])
    assert.deepEqual(
      lineage?.snapshots.map(({ chainId, clones }) => [chainId, clones]),
      [
        [bottom.chain, ['web1']],
        [top.chain, []],
      ],
    )
  })

  it('wants a bound, and says how one is written', async () => {
    const without = await run('prune')
    assert.equal(without.code, 2)
    assert.match(without.stderr, /^varve: Without a bound nothing is removed; give --unused 30d/)
    const wrong = await run('prune', '--unused', '30')
    assert.equal(wrong.code, 2)
    assert.match(wrong.stderr, /--unused.*Write a time with its unit, such as 30d/)
  })

  it('tells what would go, and then removes it', async () => {
    const foreseen = JSON.parse(
      (await run('prune', '--target', '0', '--dry-run', '--json')).stdout,
    ) as PruneReport
    assert.deepEqual(
      foreseen.removed.flatMap(({ names }) => names),
      ['x/top:1'],
    )
    const { code, stdout, stderr } = await run('prune', '--unused', '7d')
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^REMOVED .*\nx\/top:1 /)
    assert.match(stdout, /\nx\/bottom:1 {2}a clone was made from it \(web1\)\n/)
    assert.match(stdout, /\nfreed 2\.9 KiB: 8\.8 KiB before, 5\.9 KiB now\n$/)
    assert.deepEqual(JSON.parse((await run('prune', '--unused', '7d', '--json')).stdout), {
      removed: [],
      kept: [{ image: 'x/bottom:1', reason: 'a clone was made from it (web1)' }],
      orphanedChains: 0,
      usedBytesBefore: 6000,
      usedBytesAfter: 6000,
    })
  })
})
