/** S-38 of layers.md 2.C: an import that is killed right after each of its `zfs` commands, one after the other. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../src/importer/chain/zfs/zfs-chain-store.ts'
import { defaultPlatform } from '../../src/storage/platform.ts'
import { importerOver } from '../support/importer-over.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { dir, file, tar, whiteout } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { createPool, patientOnFuse, type TestPool, zfs } from '../support/zfs.ts'

const program = join(import.meta.dirname, '../fixtures/programs/import-into-pool.ts')
const layers = [
  tar(dir('etc'), file('etc/name', 'base'), file('etc/old')),
  tar(file('etc/name', 'changed'), whiteout('etc/old')),
]
const clone = parseCloneName('web1')
/** Far more commands than an import of two layers has. */
const maxSteps = 60

describe('an import that is killed after each zfs command', {
  skip: await skipWithout('zfs'),
  timeout: 300_000,
}, () => {
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let pool: TestPool
  let image = ''

  before(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    image = `${new URL(registry.url).host}/team/app:1`
    await pushTestImage(new RegistryClient(registry.url), 'team/app', '1', { layers })
    pool = await createPool()
  })
  after(async () => {
    await pool.destroy()
    await registry.stop()
    await directory.remove()
  })

  it('is complete or absent each time, leaks nothing, and succeeds when it is run again', async context => {
    let steps = 0
    while (await killedAfter(++steps)) {
      assert.ok(steps < maxSteps, `still not done after ${steps} commands`)
      await checkAfterwards(`${pool.name}/store${steps}`)
    }
    context.diagnostic(`killed after each of ${steps - 1} commands`)
    assert.ok(steps > 5)
  })

  /** Whether it was killed: false when it came to its end before. */
  async function killedAfter(steps: number): Promise<boolean> {
    const shim = await writeShim(steps)
    const dataset = `${pool.name}/store${steps}`
    const child = spawn(process.execPath, [program, shim, dataset, image], { stdio: 'inherit' })
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    assert.ok(code === 0 || signal === 'SIGKILL', `it ended with ${code ?? signal}`)
    return signal !== null
  }

  /** A `zfs` that kills whoever has called it so many times, when the command is done. */
  async function writeShim(steps: number): Promise<string> {
    const shim = join(directory.path, `zfs${steps}`)
    const counter = `${shim}.count`
    const lines = [
      '#!/bin/sh',
      `echo >> ${counter}`,
      'zfs "$@"',
      'status=$?',
      `[ "$(wc -l < ${counter})" -ge ${steps} ] && kill -9 "$PPID"`,
      'exit $status',
    ]
    await writeFile(shim, `${lines.join('\n')}\n`, { mode: 0o755 })
    return shim
  }

  async function checkAfterwards(dataset: string): Promise<void> {
    const store = await ZfsChainStore.open({ dataset, patience: patientOnFuse })
    await using importer = await importerOver(store)
    await store.reclaim()
    const found = await Array.fromAsync(store.walk())
    assert.deepEqual(
      found.filter(({ kind }) => kind === 'unfinished'),
      [],
    )
    const there = found.length
    assert.ok(there <= layers.length)
    assert.equal(
      (await importer.import({ image, platform: defaultPlatform })).imported,
      layers.length - there,
    )
    const { rootfs } = await importer.clone(image, clone)
    assert.equal(readFileSync(join(rootfs, 'etc/name'), 'utf8'), 'changed')
    await importer.destroyClone(clone)
    await importer.removeImage(image)
    const left = await zfs('list', '-H', '-r', '-t', 'filesystem,snapshot', '-o', 'name', dataset)
    const fixed = ['', '/chains', '/clones', '/images'].map(name => `${dataset}${name}`)
    assert.deepEqual(left.trim().split('\n').toSorted(), fixed)
  }
})
