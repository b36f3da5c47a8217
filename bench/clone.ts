/**
 * Both kinds of chain store on an image of many layers (a real Debian with hand-made ones): an import beside `umoci
 * unpack` of the layout, a clone beside `cp -a` of the unpacked tree, each on the same filesystem. Needs root.
 *
 * Varve's import fetches every layer over HTTP, verifies it, and makes a snapshot of each that survives a crash; umoci
 * reads a local layout and writes one tree.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { formatTable } from '../src/cli/format.ts'
import type { ChainStore } from '../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../src/importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../src/importer/chain/zfs/zfs-chain-store.ts'
import { defaultPlatform } from '../src/storage/platform.ts'
import { type FixtureImage, fixtureImage, fixturePrograms } from '../test/fixtures/make-image.ts'
import { importerOver } from '../test/support/importer-over.ts'
import { exec } from '../test/support/process.ts'
import { ensurePrograms } from '../test/support/programs.ts'
import { startRegistry } from '../test/support/registry.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { umociUnpack } from '../test/support/umoci.ts'
import { createPool, stopZfsDaemon, zfsDaemonRunning } from '../test/support/zfs.ts'

const runs = 3

interface Place {
  readonly name: string
  /** A directory on the filesystem that is measured. */
  readonly directory: string
  /** A store that has nothing yet. */
  openStore(run: number): Promise<ChainStore>
}

/** Milliseconds of each run. */
interface Times {
  readonly import: number[]
  readonly umoci: number[]
  readonly clone: number[]
  readonly copy: number[]
}

export async function run(): Promise<void> {
  await ensurePrograms('zfs', 'skopeo', ...fixturePrograms)
  const fixture = await fixtureImage()
  const daemonWasRunning = await zfsDaemonRunning()
  try {
    await using stack = new AsyncDisposableStack()
    const directory = stack.use(await temporaryDirectory())
    const registry = stack.use(await startRegistry())
    const pool = await createPool({ size: 8 * 1024 ** 3 })
    stack.defer(() => pool.destroy())
    const image = `${new URL(registry.url).host}/bench/debian:1`
    await exec('skopeo', [
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      `oci:${fixture.layout}:${fixture.layers.tag}`,
      `docker://${image}`,
    ])
    const places: readonly Place[] = [
      {
        name: 'directory',
        directory: directory.path,
        openStore: run => DirectoryChainStore.open({ directory: join(directory.path, `chains${run}`) }),
      },
      {
        name: 'zfs',
        directory: pool.mountpoint,
        openStore: run => ZfsChainStore.open({ dataset: `${pool.name}/store${run}` }),
      },
    ]
    const rows: string[][] = []
    for (const place of places) rows.push(...rowsOf(place, await measure(place, fixture, image)))
    console.log(`${fixture.layers.layers.length} layers, median of ${runs} runs`)
    console.log(formatTable(['ON', 'VARVE', 'ms', 'BESIDE', 'ms', 'RATIO'], rows))
  } finally {
    if (!daemonWasRunning) await stopZfsDaemon()
  }
}

async function measure(place: Place, { layout, layers }: FixtureImage, image: string): Promise<Times> {
  const times: Times = { import: [], umoci: [], clone: [], copy: [] }
  for (let run = 0; run < runs; run += 1) {
    await using importer = await importerOver(await place.openStore(run))
    const name = parseCloneName('web')
    times.import.push(await timed(() => importer.import({ image, platform: defaultPlatform })))
    times.clone.push(await timed(() => importer.clone(image, name)))
    await importer.destroyClone(name)
    await importer.removeImage(image)

    const work = join(place.directory, `work${run}`)
    await mkdir(work)
    let tree = ''
    const unpack = async (): Promise<void> => {
      tree = await umociUnpack(layout, layers.tag, join(work, 'bundle'))
      // An import is on the disk when it is done; so is what it is compared with.
      await exec('sync', ['--file-system', work])
    }
    times.umoci.push(await timed(unpack))
    times.copy.push(await timed(() => exec('cp', ['--archive', tree, join(work, 'copy')])))
    await rm(work, { recursive: true })
  }
  return times
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

function rowsOf(place: Place, times: Times): string[][] {
  return [
    row(place.name, 'import', times.import, 'umoci unpack', times.umoci),
    row(place.name, 'clone', times.clone, 'cp -a', times.copy),
  ]
}

/** The ratio is how many times faster Varve is. */
function row(on: string, ours: string, ourMs: number[], theirs: string, theirMs: number[]): string[] {
  const [our, their] = [median(ourMs), median(theirMs)]
  return [on, ours, our.toFixed(0), theirs, their.toFixed(0), (their / our).toFixed(2)]
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN
}
