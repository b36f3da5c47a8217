/**
 * Two agents on one pool, which import images that share layers at the same time, again and again, in an order that only
 * chance knows. SEED=n repeats one.
 *
 * Each agent is a process of its own. zfs-fuse deadlocks when two processes mount at once, so their `zfs` waits for its
 * turn; that changes when commands run, and not which.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { chainIdsOf } from '../../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../../src/storage/digest.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { skipWithout } from '../../support/programs.ts'
import { readFiles } from '../../support/read-files.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { file, tar } from '../../support/tar.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { pushTestImage } from '../../support/test-images.ts'
import { createPool, type TestPool } from '../../support/zfs.ts'

const program = join(import.meta.dirname, '../../fixtures/programs/agent-over-pool.ts')
const rounds = 13
/** Imports of each agent in each round; a hundred of both in all. */
const importsPerRound = 4

/** An image, and the paths of its layers in the tree that all images are branches of. */
interface Branch {
  readonly tag: string
  readonly layers: readonly string[]
  /** What the store calls the chain of each layer. */
  readonly chains: readonly string[]
}

/** Twelve, of three or four layers. Every second one is the beginning of the next one. */
const branches: readonly Branch[] = Array.from({ length: 12 }, (_, number) => {
  const all = [number >> 3, number >> 2, number >> 1, number].map((id, depth) => `${depth}-${id}`)
  const layers = number % 2 === 0 ? all.slice(0, 3) : all
  const diffIds = layers.map(layer => parseDiffId(digestOf(tarOf(layer))))
  return { tag: String(number), layers, chains: chainIdsOf(diffIds) }
})

function tarOf(layer: string): Buffer {
  return tar(file(`layers/${layer}`, layer), file('top', layer))
}

function contentOf({ layers }: Branch): Record<string, string> {
  const files = layers.map(layer => [`layers/${layer}`, layer] as const)
  return Object.fromEntries([...files, ['top', layers.at(-1) ?? '']])
}

describe('two agents on one pool', { skip: await skipWithout('zfs'), timeout: 900_000 }, () => {
  const stack = new AsyncDisposableStack()
  const seed = Number(process.env['SEED'] || randomInt(2 ** 31))
  const random = seededRandom(seed)
  const agents: AgentClient[] = []
  let pool: TestPool
  let host = ''

  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    const registry = stack.use(await startRegistry())
    host = new URL(registry.url).host
    const client = new RegistryClient(registry.url)
    for (const { tag, layers } of branches)
      await pushTestImage(client, 'team/tree', tag, { layers: layers.map(tarOf) })
    pool = await createPool()
    stack.defer(() => pool.destroy())
    const zfs = await writeZfsInTurns(directory.path)
    for (const number of [1, 2]) {
      const socket = join(directory.path, `agent${number}.sock`)
      const child = await startAgent(zfs, pool.name, socket)
      stack.defer(() => end(child))
      agents.push(new AgentClient(socket))
    }
  })
  after(() => stack.disposeAsync())

  it('apply each layer once', async context => {
    context.diagnostic(`seed ${seed}`)
    let present: Branch[] = []
    let applied = 0
    for (let round = 1; round <= rounds; round += 1) {
      const wanted = agents.map(() => shuffled(branches).slice(0, importsPerRound))
      const before = new Set(present.flatMap(({ chains }) => chains))
      const counts = await importAll(wanted)
      present = [...new Set([...present, ...wanted.flat()])]
      const made = new Set(present.flatMap(({ chains }) => chains).filter(chain => !before.has(chain)))
      assert.deepEqual(counts, new Map([...made].toSorted().map(chain => [chain, 1])), `round ${round}`)
      applied += made.size
      const gone = shuffled(present).slice(0, round === rounds ? present.length : present.length - 2)
      await checkContent(gone[0])
      for (const { tag } of gone) await one(agents).removeImage(nameOf(tag))
      present = present.filter(branch => !gone.includes(branch))
    }
    context.diagnostic(
      `${rounds * importsPerRound} imports by each agent, ${applied} layers applied once each`,
    )
    const store = await ZfsChainStore.open({ dataset: pool.name })
    assert.deepEqual(await Array.fromAsync(store.walk()), [])
  })

  /** How often each chain was made, when all agents import what they are wanted to, all at once. */
  async function importAll(wanted: readonly (readonly Branch[])[]): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    const imports = wanted.flatMap((images, index) =>
      images.map(async ({ tag }) => {
        await agents[index]?.import(
          { image: nameOf(tag), platform: defaultPlatform },
          {
            onEvent: event => {
              if (event.type === 'layer-done') counts.set(event.chainId, (counts.get(event.chainId) ?? 0) + 1)
            },
          },
        )
      }),
    )
    const failures = (await Promise.allSettled(imports)).flatMap(result =>
      result.status === 'rejected' ? [String(result.reason)] : [],
    )
    assert.deepEqual(failures, [])
    return new Map([...counts].toSorted(([left], [right]) => (left < right ? -1 : 1)))
  }

  async function checkContent(branch: Branch | undefined): Promise<void> {
    if (branch === undefined) return
    const name = parseCloneName('check')
    const { rootfs } = await one(agents).clone(nameOf(branch.tag), name)
    assert.deepEqual(readFiles(rootfs), contentOf(branch))
    await one(agents).destroyClone(name)
  }

  function nameOf(tag: string): string {
    return `${host}/team/tree:${tag}`
  }

  function shuffled<Item>(items: readonly Item[]): Item[] {
    const keyed = items.map(item => ({ item, key: random() }))
    return keyed.toSorted((left, right) => left.key - right.key).map(({ item }) => item)
  }

  function one<Item>(items: readonly Item[]): Item {
    const [item] = shuffled(items)
    assert.ok(item !== undefined)
    return item
  }
})

/** A `zfs` of which one runs at a time, whoever calls it. */
async function writeZfsInTurns(directory: string): Promise<string> {
  const path = join(directory, 'zfs')
  const script = `#!/bin/sh\nexec flock '${join(directory, 'turn')}' zfs "$@"\n`
  await writeFile(path, script, { mode: 0o755 })
  return path
}

async function startAgent(zfs: string, dataset: string, socket: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program, zfs, dataset, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the agent ended with ${code}`)
  })
  await Promise.race([once(child.stdout, 'data'), ended])
  ended.catch(() => undefined)
  child.stdout.resume()
  return child
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  if (!child.kill('SIGTERM')) return
  await ended
}
