/** `varve import` killed at any point, and then run again. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ageLocks } from '../support/aged-locks.ts'
import { compareTrees } from '../support/compare-trees.ts'
import { exec } from '../support/process.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { dir, file, hardlink, symlink, tar, whiteout } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { timePrecisionOf } from '../support/time-precision.ts'
import { listTree, type Tree } from '../support/tree.ts'
import { varveProgram } from '../support/varve.ts'
import { createPool, storeLeftovers, type TestPool, zfs } from '../support/zfs.ts'

const filesPerLayer = 150
/** Later layers change, hide and add to what the first ones brought. */
const layers = [0, 1, 2, 3, 4].map(layer =>
  tar(
    dir(`layer${layer}`, { mtime: layer + 1 }),
    ...Array.from({ length: filesPerLayer }, (_, index) =>
      file(`layer${layer}/f${index}`, noise(`${layer} ${index}`), {
        mode: 0o640,
        uid: index,
        mtime: 1000 + index,
      }),
    ),
    file('shared', `layer ${layer}`, { mtime: layer }),
    hardlink(`layer${layer}/again`, `layer${layer}/f0`),
    symlink(`layer${layer}/link`, '../shared', { mtime: 7 }),
    ...(layer > 1 ? [whiteout(`layer${layer - 2}/f1`), whiteout(`layer${layer - 1}/link`)] : []),
  ),
)

describe('a killed import', { skip: await skipWithout('zfs') }, () => {
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let image = ''
  let expected: Tree

  before(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    image = `${new URL(registry.url).host}/team/app:1`
    await pushTestImage(new RegistryClient(registry.url), 'team/app', '1', { layers })
    expected = await cloneTree(['--chains', join(directory.path, 'undisturbed')])
  })
  after(async () => {
    await registry.stop()
    await directory.remove()
  })

  /** What an import gives, and a clone shows. */
  async function cloneTree(where: readonly string[]): Promise<Tree> {
    await exec(varveProgram, ['import', ...where, image])
    const made = await exec(varveProgram, ['clone', '--json', ...where, image, 'web1'])
    const tree = listTree((JSON.parse(made) as { rootfs: string }).rootfs)
    await exec(varveProgram, ['rm', ...where, 'web1'])
    return tree
  }

  /** Kills imports at moments that are spread over the time that one takes. Answers how many were killed. */
  async function killImports(
    where: readonly string[],
    kills: number,
    settled: () => Promise<void>,
  ): Promise<number> {
    let killed = 0
    for (let turn = 0; turn < kills; turn += 1) {
      const child = spawn(varveProgram, ['import', ...where, image], { stdio: ['ignore', 'pipe', 'ignore'] })
      const ended = once(child, 'exit')
      // From the first word on: before it, only Node starts.
      const spoke = once(child.stdout, 'data')
      child.stdout.resume()
      await Promise.race([turn % 4 === 0 ? sleep(300 + turn * 20) : spoke, ended])
      await Promise.race([sleep((turn * 53) % 400), ended])
      if (child.exitCode === null && child.kill('SIGKILL')) killed += 1
      await ended
      await settled()
    }
    return killed
  }

  it('gives the same tree in a pool when it is run again, and leaves nothing', async context => {
    const pool = await createPool()
    try {
      const where = ['--pool', pool.name]
      const killed = await killImports(where, 20, () => untilNoCommandRuns(pool))
      const mtime = await timePrecisionOf(pool.mountpoint)
      assert.deepEqual(compareTrees(await cloneTree(where), expected, { mtime }), [])
      assert.deepEqual(await mountedLineages(pool), [])
      await ageLocks(join(pool.mountpoint, 'varve/images/locks'))
      await exec(varveProgram, ['rmi', ...where, image])
      assert.deepEqual(await storeLeftovers(pool), [])
      assert.deepEqual(readdirSync(join(pool.mountpoint, 'varve/images/records')), [])
      context.diagnostic(`${killed} of 20 imports were killed before their end`)
    } finally {
      await pool.destroy()
    }
  })

  it('gives the same tree in a directory when it is run again, and leaves nothing', async context => {
    const chains = join(directory.path, 'chains')
    const where = ['--chains', chains]
    const killed = await killImports(where, 8, async () => {})
    assert.deepEqual(compareTrees(await cloneTree(where), expected), [])
    await ageLocks(join(chains, 'locks'))
    await exec(varveProgram, ['rmi', ...where, image])
    for (const part of ['building', 'chains', 'clones', 'images', 'locks'])
      assert.deepEqual(readdirSync(join(chains, part)), [], part)
    context.diagnostic(`${killed} of 8 imports were killed before their end`)
  })
})

/** Content that does not compress: each test sees its own bytes or fails. */
function noise(seed: string): Buffer {
  return Buffer.concat([0, 1, 2].map(part => createHash('sha512').update(`${seed} ${part}`).digest()))
}

async function mountedLineages(pool: TestPool): Promise<string[]> {
  const listing = await zfs('get', '-H', '-r', '-o', 'name,value', 'mounted', `${pool.name}/varve/chains`)
  return listing.split('\n').filter(line => line.endsWith('\tyes'))
}

/** A command of the dead may still run, and zfs-fuse does not bear two that mount (a pool of the kernel does). */
async function untilNoCommandRuns(pool: TestPool): Promise<void> {
  while (readdirSync('/proc').some(id => /^\d+$/.test(id) && commandOf(id).includes(pool.name)))
    await sleep(10)
}

function commandOf(process: string): string {
  try {
    const [program = '', ...args] = readFileSync(`/proc/${process}/cmdline`, 'utf8').split('\0')
    return program.endsWith('zfs') ? args.join(' ') : ''
  } catch {
    return ''
  }
}
