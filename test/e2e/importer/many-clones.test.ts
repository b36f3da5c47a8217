/** As many clones of one image as a large host has zones, made at once. Tells how long it took and what they use. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { formatBytes } from '../../../src/cli/format.ts'
import { isDomainError } from '../../../src/errors.ts'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import type { CloneName } from '../../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { allocatedBytes } from '../../support/pool-space.ts'
import { skipWithout } from '../../support/programs.ts'
import { readFiles } from '../../support/read-files.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { dir, file, tar } from '../../support/tar.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { pushTestImage } from '../../support/test-images.ts'
import { startVarve } from '../../support/varve.ts'
import { createPool, patientOnFuse, type TestPool, zfs } from '../../support/zfs.ts'

const count = 400
const callsAtOnce = 16
/** Longer than a pool waits before it writes. */
const settleMs = 6000
const layers = [tar(dir('etc'), file('etc/name', 'base')), tar(file('etc/motd', 'hello'))]
const content = { 'etc/name': 'base', 'etc/motd': 'hello' }

describe(`${count} clones of one image`, { skip: await skipWithout('zfs'), timeout: 900_000 }, () => {
  const stack = new AsyncDisposableStack()
  let pool: TestPool
  let agent: AgentClient
  let image = ''

  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    pool = await createPool({ size: 4 * 1024 ** 3 })
    stack.defer(() => pool.destroy())
    const socket = join(directory.path, 'agent.sock')
    const varve = await startVarve(['--pool', pool.name, '--socket', socket, '--data', directory.path])
    stack.defer(async () => {
      await varve.stop()
    })
    await pushTestImage(new RegistryClient(`http://${varve.registry}`), 'team/app', '1', { layers })
    image = `${varve.registry}/team/app:1`
    agent = new AgentClient(varve.socket)
    await agent.import({ image, platform: defaultPlatform })
  })
  after(() => stack.disposeAsync())

  it('by one call', async context => {
    const names = namesOf('one')
    const before = await settledBytes(pool)
    await timed(context, 'one call', async () => {
      const outcomes = await agent.cloneMany(image, names)
      assert.deepEqual(
        outcomes.flatMap(outcome => ('error' in outcome ? [outcome.error.message] : [])),
        [],
      )
      assert.deepEqual(
        outcomes.map(({ name }) => name),
        names,
      )
    })
    await checkAndDestroy(context, names, before)
  })

  it(`by ${count} calls`, async context => {
    const names = namesOf('each')
    const before = await settledBytes(pool)
    const limit = pLimit(callsAtOnce)
    await timed(context, `${count} calls, ${callsAtOnce} at once`, async () => {
      await Promise.all(names.map(name => limit(() => agent.clone(image, name))))
    })
    await checkAndDestroy(context, names, before)
  })

  async function checkAndDestroy(
    context: TestContext,
    names: readonly CloneName[],
    before: number,
  ): Promise<void> {
    const clones = await agent.clones()
    assert.deepEqual(new Set(clones.map(({ name }) => name)), new Set(names))
    const seen = clones.filter((_, index) => index % 50 === 0)
    for (const { rootfs } of seen) assert.deepEqual(readFiles(rootfs), content)
    const [used, grown] = [await usedBytes(pool), (await settledBytes(pool)) - before]
    context.diagnostic(
      `the clones use ${formatBytes(used / count)} each, and the pool has grown by ${formatBytes(grown / count)} for each`,
    )
    const limit = pLimit(callsAtOnce)
    await timed(context, 'destroying them', async () => {
      await Promise.all(names.map(name => limit(() => destroy(agent, name))))
    })
    assert.deepEqual(await agent.clones(), [])
  }
})

/** As a provisioner does what it was told to try again: zfs-fuse is busy for as long as the machine is. */
async function destroy(agent: AgentClient, name: CloneName): Promise<void> {
  for (const wait of patientOnFuse) {
    if (await isDone(agent.destroyClone(name))) return
    await sleep(wait)
  }
  await agent.destroyClone(name)
}

/** False for what is busy. */
async function isDone(attempt: Promise<void>): Promise<boolean> {
  try {
    await attempt
    return true
  } catch (error) {
    if (isDomainError(error, 'busy')) return false
    throw error
  }
}

function namesOf(prefix: string): CloneName[] {
  return Array.from({ length: count }, (_, index) => parseCloneName(`${prefix}-${index}`))
}

async function timed(context: TestContext, what: string, work: () => Promise<void>): Promise<void> {
  const started = performance.now()
  await work()
  context.diagnostic(`${what}: ${((performance.now() - started) / 1000).toFixed(2)} s`)
}

/** Of all clones, as ZFS counts it: what they do not share with the snapshot. */
async function usedBytes({ name }: TestPool): Promise<number> {
  const clones = `${name}/varve/clones`
  const listing = await zfs('get', '-Hp', '-r', '-d', '1', '-o', 'name,value', 'used', clones)
  const lines = listing
    .trimEnd()
    .split('\n')
    .map(line => line.split('\t'))
  const used = lines.filter(([dataset]) => dataset !== clones).map(([, value]) => Number(value))
  assert.equal(used.length, count)
  return used.reduce((sum, bytes) => sum + bytes, 0)
}

/** What the pool has on its disk, when no more comes or goes: a pool writes a few seconds later. */
async function settledBytes({ name }: TestPool): Promise<number> {
  let before = Number.NaN
  for (let looks = 0; looks < 6; looks += 1) {
    await sleep(settleMs)
    const now = await allocatedBytes(name)
    if (now === before) return now
    before = now
  }
  return before
}
