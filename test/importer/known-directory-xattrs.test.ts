import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../src/importer/chain/directory/directory-chain-store.ts'
import type { DirectoryXattrs } from '../../src/importer/layer/apply-layer.ts'
import { ThreadedLayerEngine } from '../../src/importer/layer/engine/threaded-layer-engine.ts'
import type { LayerEngine } from '../../src/importer/layer/layer-engine.ts'
import { defaultPlatform } from '../../src/storage/platform.ts'
import { importerOver } from '../support/importer-over.ts'
import { aclFor } from '../support/posix-acls.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { dir, file, type TarOptions, tar } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { listXattrs, whyNoXattrs } from '../support/xattrs.ts'

const skip = (await skipWithout('setfattr', 'getfattr', 'cp')) || (whyNoXattrs(tmpdir()) ?? false)
const plain = tar(dir('d'), file('d/f'))
const second = tar(file('d/g'))
const third = tar(dir('d/e'), file('h'))
const acl: TarOptions = { pax: { 'SCHILY.xattr.system.posix_acl_default': aclFor(1) } }
const user: TarOptions = { pax: { 'SCHILY.xattr.user.a': '1' } }
const giving = tar(dir('d', acl), dir('u', user), file('f'))
const above = tar(file('d/new', 'x'), dir('d/made/below'), dir('u'))
const clone = parseCloneName('web1')

describe('what layers below have given to directories, in imports', { skip, timeout: 120_000 }, () => {
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let locations: string[]
  beforeEach(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    locations = []
  })
  afterEach(async () => {
    await registry.stop()
    await directory.remove()
  })

  /** What each layer that is missing is told of the tree below, by an importer that is new. */
  async function toldIn(layers: readonly Buffer[]): Promise<(DirectoryXattrs | undefined)[]> {
    const told: (DirectoryXattrs | undefined)[] = []
    await using importer = await importerOver(
      await DirectoryChainStore.open({ directory: join(directory.path, 'chains') }),
      { engine: listeningEngine(told) },
    )
    await pushTestImage(new RegistryClient(registry.url), 'team/app', 'latest', { layers: [...layers] })
    const image = `${new URL(registry.url).host}/team/app:latest`
    await importer.import(
      { image, platform: defaultPlatform },
      {
        onEvent: event => {
          if (event.type === 'layer-done') locations.push(event.location)
        },
      },
    )
    const { rootfs } = await importer.clone(image, clone)
    having = Object.fromEntries(listXattrs(rootfs))
    await importer.destroyClone(clone)
    return told
  }
  let having: Record<string, readonly string[]>
  const handsDown = [`system.posix_acl_default=0x${aclFor(1).toString('hex')}`]

  it('are known to be nothing from the second layer on, also after a restart', async () => {
    assert.deepEqual(await toldIn([plain, second]), [undefined, 'none'])
    assert.deepEqual(await toldIn([plain, second, third, tar(file('i'))]), ['none', 'none'])
    assert.deepEqual(await toldIn([plain, third]), ['none'])
    assert.deepEqual(having, {})
  })

  it('are asked for above a layer that gives something, in the same import', async () => {
    assert.deepEqual(await toldIn([plain, giving, above, third]), [undefined, 'none', undefined, undefined])
    assert.deepEqual(having, { d: handsDown })
  })

  it('are asked for above a layer that gives something, after a restart', async () => {
    await toldIn([plain, giving])
    assert.deepEqual(having, { d: handsDown, u: ['user.a=0x31'] })
    assert.deepEqual(await toldIn([plain, giving, above]), [undefined])
    assert.deepEqual(having, { d: handsDown })
  })

  it('are asked for above layers whose records say nothing of it', async () => {
    for (const record of [{ droppedXattrs: 0 }, undefined]) {
      const layers = [plain, giving, tar(file(`r${String(record?.droppedXattrs)}`))]
      await toldIn(layers)
      for (const location of new Set(locations)) {
        const path = join(location, 'facts.json')
        const { notes: _, ...facts } = JSON.parse(readFileSync(path, 'utf8')) as { notes: object }
        writeFileSync(path, JSON.stringify({ ...facts, notes: record }))
      }
      assert.deepEqual(await toldIn([...layers, above]), [undefined])
      assert.deepEqual(having, { d: handsDown })
      assert.deepEqual(await toldIn([plain, second]), [undefined])
      assert.deepEqual(having, {})
      await directory.remove()
      locations = []
    }
  })
})

/** Writes down what its layers are told. */
function listeningEngine(told: (DirectoryXattrs | undefined)[]): LayerEngine {
  const engine = new ThreadedLayerEngine()
  return {
    limits: engine.limits,
    open: (source, promise) => {
      const opened = engine.open(source, promise)
      return {
        applyTo: (rootfs, options) => {
          told.push(options?.lowerDirectoryXattrs)
          return opened.applyTo(rootfs, options)
        },
        [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
      }
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  }
}
