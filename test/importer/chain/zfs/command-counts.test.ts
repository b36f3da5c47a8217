import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { type FakeLayer, layerOn } from '../../../support/fake-layers.ts'
import { type LoggedZfs, loggedZfs } from '../../../support/logged-zfs.ts'
import { skipWithout } from '../../../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'
import { createPool, patientOnFuse, type TestPool } from '../../../support/zfs.ts'

const layers: FakeLayer[] = []
for (let index = 0; index < 5; index++) layers.push(layerOn(layers.at(-1) ?? null, `layer ${index}`))
const [bottom] = layers
const top = layers.at(-1)
const web = parseCloneName('web')

/** Every command is a process and most wait for the disk, so that one more is a regression that somebody has to mean. */
describe('zfs commands', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  let directory: TemporaryDirectory
  let zfs: LoggedZfs
  let store: ZfsChainStore
  before(async () => {
    directory = await temporaryDirectory()
    zfs = await loggedZfs(directory.path)
    pool = await createPool()
    await ZfsChainStore.open({ dataset: pool.name })
  })
  after(async () => {
    await pool.destroy()
    await directory.remove()
  })

  const open = () => ZfsChainStore.open({ dataset: pool.name, program: zfs.program, patience: patientOnFuse })
  const chains = layers.map(({ chain }) => chain)
  const chainOf = (layer: FakeLayer | undefined) => (layer ?? layerOn(null, 'none')).chain

  async function build(): Promise<void> {
    await using builder = await store.extend(null)
    for (const { chain, facts } of layers) {
      await writeFile(join(builder.rootfs, facts.diffId.slice(-8)), '')
      await builder.commit(chain, facts)
    }
  }

  const table: readonly (readonly [
    what: string,
    work: () => Promise<unknown>,
    commands: readonly string[],
  ])[] = [
    ['opening', async () => (store = await open()), ['listing', 'listing']],
    ['looking for an image that is not there', () => store.findLast(chains), ['listing']],
    [
      'building 5 layers',
      build,
      ['create', 'mount', 'get', ...layers.map(() => 'snapshot'), 'unmount', 'rollback', 'inherit', 'hold'],
    ],
    ['looking for an image that is there', () => store.findLast(chains), ['get']],
    ['looking for all its layers', () => store.findAll(chains), ['get']],
    ['remembering', () => store.lastKnown(chains), []],
    ['cloning', () => store.clone(chainOf(top), web), ['clone']],
    ['cloning again', () => store.clone(chainOf(top), web), ['get']],
    ['finding a clone', () => store.findClone(web), ['get']],
    ['listing clones', () => store.clones(), ['listing']],
    ['destroying a clone', () => store.destroyClone(web), ['get', 'destroy']],
    [
      'removing the last layer',
      () => store.remove(chainOf(top)),
      ['listing', 'release', 'set', 'destroy', 'rollback', 'inherit'],
    ],
    [
      'removing the only layer left',
      async () => {
        for (const { chain } of layers.slice(1, -1).toReversed()) await store.remove(chain)
        await zfs.taken()
        await store.remove(chainOf(bottom))
      },
      ['listing', 'release', 'destroy', 'destroy'],
    ],
  ]
  for (const [what, work, commands] of table)
    it(`${what}: ${commands.length}`, async () => {
      await work()
      assert.deepEqual(await zfs.taken(), commands)
    })
})
