/** Publishing an image, and taking it back, killed at each of their `zfs` commands. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../../src/errors.ts'
import type { ChainSnapshot } from '../../../src/importer/chain/chain-store.ts'
import { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import type { ImageToPublish } from '../../../src/importer/smartos/image-publisher.ts'
import { buildLayer } from '../../contract/chain-store/suite.ts'
import { onlyReads } from '../../faults/crash-matrix/roles.ts'
import {
  type Moment,
  moments,
  type ShimFiles,
  writeKillingZfs,
  writePatientZfs,
} from '../../faults/crash-matrix/shims.ts'
import { layerOn } from '../../support/fake-layers.ts'
import { skipWithout } from '../../support/programs.ts'
import { imageToPublish } from '../../support/publications.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { createPool, type TestPool, zfs } from '../../support/zfs.ts'

const program = join(import.meta.dirname, '../../fixtures/programs/publish-image.ts')
const layer = layerOn(null, 'only')

describe('publishing that is killed at each zfs command', {
  skip: await skipWithout('zfs'),
  timeout: 1_200_000,
}, () => {
  let directory: TemporaryDirectory
  let pool: TestPool
  let patient = ''
  let snapshot: ChainSnapshot
  let image: ImageToPublish
  let count = 0

  before(async () => {
    directory = await temporaryDirectory()
    pool = await createPool()
    patient = await writePatientZfs(directory.path)
    snapshot = await buildLayer(await open(), null, layer, 'file')
    image = imageToPublish(snapshot)
  })
  after(async () => {
    await pool.destroy()
    await directory.remove()
  })

  const imgadmDirectory = () => join(directory.path, 'imgadm')
  const open = () =>
    ZfsChainStore.open({
      dataset: `${pool.name}/varve`,
      program: patient,
      imgadmDirectory: imgadmDirectory(),
    })

  /** As an agent opens it. */
  async function reopen(): Promise<ZfsChainStore> {
    const store = await open()
    await store.reclaim()
    return store
  }

  /** What there is of the image: all of it, or nothing, and never a thing besides. */
  async function isPublished(): Promise<boolean> {
    const listing = await zfs('list', '-H', '-r', '-t', 'filesystem,snapshot', '-o', 'name', pool.name)
    const beside = listing
      .trim()
      .split('\n')
      .filter(name => name !== pool.name && !name.startsWith(`${pool.name}/varve`))
    const records = await readdir(join(imgadmDirectory(), 'images')).catch(() => [])
    const dataset = `${pool.name}/${image.uuid}`
    const whole = { beside: [dataset, `${dataset}@final`], records: [`${pool.name}-${image.uuid}.json`] }
    assert.deepEqual({ beside, records }, beside.length > 0 ? whole : { beside: [], records: [] })
    return beside.length > 0
  }

  async function perform(what: 'publish' | 'unpublish'): Promise<void> {
    const { publisher } = await reopen()
    if (what === 'publish') await publisher.publish(image)
    else
      await publisher.unpublish(image.uuid).catch((error: unknown) => {
        if (!isDomainError(error, 'not_found')) throw error
      })
    assert.equal(await isPublished(), what === 'publish')
  }

  /** Whether it was killed. */
  async function run(what: string, shim: ShimFiles): Promise<boolean> {
    const args = [what, shim.program, `${pool.name}/varve`, imgadmDirectory(), snapshot.chain, shim.counting]
    const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' })
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    assert.ok(code === 0 || signal === 'SIGKILL', `it ended with ${code ?? signal}`)
    return signal !== null
  }

  async function shimFor(at: number, moment: Moment): Promise<ShimFiles> {
    const own = join(directory.path, `shim${count++}`)
    await mkdir(own)
    return await writeKillingZfs(own, patient, { at, moment })
  }

  async function commandsOf(what: string): Promise<string[]> {
    const shim = await shimFor(0, 'before')
    assert.equal(await run(what, shim), false)
    return (await readFile(shim.log, 'utf8')).trimEnd().split('\n')
  }

  async function killedAt(what: 'publish' | 'unpublish', at: number, moment: Moment): Promise<boolean> {
    await perform(what === 'publish' ? 'unpublish' : 'publish')
    const shim = await shimFor(at, moment)
    assert.ok(await run(what, shim), `command ${at} of ${what} was not reached`)
    if (moment === 'late') {
      await reopen()
      await writeFile(shim.release, '')
    }
    while (!existsSync(shim.ended)) await sleep(20)
    await reopen()
    const done = (await isPublished()) === (what === 'publish')
    await perform(what)
    return done
  }

  for (const what of ['publish', 'unpublish'] as const)
    it(`${what}: all or nothing each time, and it succeeds when it is done again`, async context => {
      await perform(what === 'publish' ? 'unpublish' : 'publish')
      const commands = await commandsOf(what)
      const changing = commands.filter(line => !onlyReads(line)).length
      assert.equal(changing, what === 'publish' ? 3 : 2)
      let done = 0
      let runs = 0
      for (const [index, line] of commands.entries())
        for (const moment of onlyReads(line) ? (['before'] as const) : moments) {
          runs += 1
          if (await killedAt(what, index + 1, moment)) done += 1
        }
      context.diagnostic(`${commands.length} commands, killed ${runs} times; ${done} times it had been done`)
      assert.ok(done > 0)
    })
})
