/**
 * Clones of one image: what Varve does in a pool and in directories, beside `cp -a` of the same tree and containerd's
 * native snapshotter. Then whether a clone's time depends on the image's size, and 400 clones of one image. Needs root and
 * 12 GB in the temporary directory.
 *
 *     make bench-clone [LARGE=5000] [RUNS=5]
 *
 * `LARGE` is the size of the large image, in MB. Content is random, so that no pool compresses it.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatBytes, formatTable } from '../src/cli/format.ts'
import { parseCloneName } from '../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../src/importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../src/importer/chain/zfs/zfs-chain-store.ts'
import { createZfsStarter } from '../src/importer/chain/zfs/zfs-command.ts'
import { exec } from '../test/support/process.ts'
import { ensurePrograms } from '../test/support/programs.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { createPool, stopZfsDaemon, zfsDaemonRunning } from '../test/support/zfs.ts'
import { prepareInContainerd } from './clone/containerd-prepare.ts'
import { measureMany } from './clone/many-clones.ts'
import { makeRandomChain, type RandomChain } from './clone/random-chain.ts'
import { cloneTimes, cloneTimesInTurns, median, timed } from './clone/times.ts'

const megabyte = 10 ** 6
const smallBytes = 100 * megabyte

export async function run(): Promise<void> {
  const runs = Number(process.env['RUNS'] || 5)
  const largeBytes = Number(process.env['LARGE'] || 5000) * megabyte
  await ensurePrograms('zfs', 'containerd')
  const daemonWasRunning = await zfsDaemonRunning()
  try {
    await using stack = new AsyncDisposableStack()
    const directory = stack.use(await temporaryDirectory())
    const pool = await createPool({ size: 3 * largeBytes + 2 * 1024 ** 3 })
    stack.defer(() => pool.destroy())
    // As an agent has it.
    const starter = stack.use(createZfsStarter())
    const zfs = stack.use(await ZfsChainStore.open({ dataset: pool.name, starter }))
    const directories = stack.use(
      await DirectoryChainStore.open({ directory: join(directory.path, 'chains') }),
    )

    const small = await makeRandomChain(zfs, smallBytes)
    const inDirectories = await makeRandomChain(directories, smallBytes)
    const inPool = await cloneTimes(zfs, small, runs)
    const rows: readonly (readonly [string, readonly number[]])[] = [
      ['varve, zfs', inPool],
      ['varve, directory', await cloneTimes(directories, inDirectories, runs)],
      ['cp -a, within the pool', await copyTimes(zfs, small, pool.mountpoint, runs)],
      ['cp -a, within a directory', await copyTimes(directories, inDirectories, directory.path, runs)],
      ['containerd native prepare', await prepareInContainerd(smallBytes, directory.path, runs)],
    ]
    const base = median(inPool)
    console.log(`\nA tree of its own of an image of ${formatBytes(smallBytes)}; median of ${runs}`)
    console.log(
      formatTable(
        ['', 'ms', 'TIMES AS LONG AS varve, zfs'],
        rows.map(([name, times]) => [name, median(times).toFixed(1), (median(times) / base).toFixed(1)]),
      ),
    )

    console.log(`\n400 clones of it, in the pool`)
    console.log(await measureMany(zfs, small, pool.name))

    const large = await makeRandomChain(zfs, largeBytes)
    // What was written last is on its way to the disk for a while, and would slow down whoever comes first.
    await sleep(30_000)
    const [smallClones = [], largeClones = []] = await cloneTimesInTurns(zfs, [small, large], 2 * runs)
    const [largeCopy = Number.NaN] = await copyTimes(zfs, large, pool.mountpoint, 1)
    const [smallCopy = Number.NaN] = rows[2]?.[1] ?? []
    console.log(`\nBy the size of the image, in the pool; clones: median of ${2 * runs}`)
    console.log(
      formatTable(
        ['IMAGE', 'IN THE POOL', 'clone ms', 'cp -a ms', 'RATIO'],
        [
          await sizeRow(smallBytes, small, smallClones, smallCopy),
          await sizeRow(largeBytes, large, largeClones, largeCopy),
        ],
      ),
    )
  } finally {
    if (!daemonWasRunning) await stopZfsDaemon()
  }
}

/** Of a clone's tree, to `directory`; each copy is removed before the next. */
async function copyTimes(
  store: ZfsChainStore | DirectoryChainStore,
  { chain }: RandomChain,
  directory: string,
  runs: number,
): Promise<number[]> {
  const name = parseCloneName('copied')
  const { rootfs } = await store.clone(chain, name)
  const copy = join(directory, 'copy')
  const times: number[] = []
  for (let run = 0; run < runs; run += 1) {
    times.push(await timed(() => exec('cp', ['--archive', rootfs, copy])))
    await rm(copy, { recursive: true })
  }
  await store.destroyClone(name)
  return times
}

async function sizeRow(
  bytes: number,
  { location }: RandomChain,
  clones: readonly number[],
  copy: number,
): Promise<string[]> {
  const referenced = Number(await exec('zfs', ['get', '-Hp', '-o', 'value', 'referenced', location]))
  const clone = median(clones)
  return [
    formatBytes(bytes),
    formatBytes(referenced),
    clone.toFixed(1),
    copy.toFixed(0),
    (copy / clone).toFixed(1),
  ]
}
