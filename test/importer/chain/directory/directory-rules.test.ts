import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { convertCoreutilFailure } from '../../../../src/importer/chain/directory/copy-tree.ts'
import { DirectoryChainStore } from '../../../../src/importer/chain/directory/directory-chain-store.ts'
import { buildLayer, failsWith } from '../../../contract/chain-store/suite.ts'
import { layerOn } from '../../../support/fake-layers.ts'
import { asNobody } from '../../../support/nobody.ts'
import { skipWithout } from '../../../support/programs.ts'

const run = promisify(execFile)
const skip = await skipWithout('cp', 'setpriv')
const store = import.meta.resolve('../../../../src/importer/chain/directory/directory-chain-store.ts')

describe('a directory for chains', { skip }, () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varve-test-directory-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  it('must be empty or ours', async () => {
    await writeFile(join(directory, 'letter'), 'dear')
    await assert.rejects(DirectoryChainStore.open({ directory }), failsWith('conflict'))
    assert.deepEqual(await readdir(directory), ['letter'])
    await rm(join(directory, 'letter'))
    await DirectoryChainStore.open({ directory })
    await DirectoryChainStore.open({ directory })
    await writeFile(join(directory, 'varve.json'), '{"kind":"other","version":1}')
    await assert.rejects(DirectoryChainStore.open({ directory }), failsWith('conflict'))
  })

  it('open-race: is claimed by all that open it at the same moment', async () => {
    for (let round = 0; round < 40; round++) {
      const fresh = join(directory, String(round))
      const opened = Array.from({ length: 16 }, async (_, index) => {
        for (let turn = 0; turn < index * 2; turn++) await setImmediate()
        await DirectoryChainStore.open({ directory: fresh })
      })
      await Promise.all(opened)
      const names = await readdir(fresh)
      assert.ok(!names.some(name => name.endsWith('.new')), names.join(' '))
    }
  })

  it('is claimed again when whoever claimed it was killed half way', async () => {
    await writeFile(join(directory, 'varve.json.0123.new'), '{"kind":')
    await DirectoryChainStore.open({ directory })
    assert.ok((await readdir(directory)).includes('varve.json'))
  })

  it('is made when it is not there', async () => {
    const deep = join(directory, 'a/b')
    await DirectoryChainStore.open({ directory: deep })
    assert.ok((await readdir(deep)).includes('varve.json'))
  })

  it('needs root', async () => {
    await chmod(directory, 0o777)
    const script = `import { DirectoryChainStore } from ${JSON.stringify(store)}
      await DirectoryChainStore.open({ directory: ${JSON.stringify(directory)} }).catch(error => {
        process.stdout.write(error.code + ' ' + error.message)
      })`
    const eval_ = [process.execPath, '--input-type=module', '--eval', script]
    const { stdout } = await run('setpriv', [...asNobody, ...eval_])
    assert.match(stdout, /^denied .*root/)
  })

  it('tells which file is spoilt', async () => {
    const opened = await DirectoryChainStore.open({ directory })
    const layer = layerOn(null, 'one')
    const { location } = await buildLayer(opened, null, layer, 'one')
    assert.match(await readFile(join(location, 'facts.json'), 'utf8'), /"diffId"/)
    await writeFile(join(location, 'facts.json'), '{')
    await assert.rejects(opened.find(layer.chain), failsWith('conflict'))
  })
})

describe('failures of cp', () => {
  const failed = (stderr: string, code: string | number = 1) =>
    convertCoreutilFailure('cp', '/x', Object.assign(new Error('failed'), { stderr, code }))

  it('are converted', () => {
    assert.equal(failed("cp: error writing '/x': No space left on device").code, 'no_space')
    assert.equal(failed("cp: cannot stat '/x': No such file or directory").code, 'unavailable')
    assert.match(failed('', 'ENOENT').message, /GNU coreutils/)
  })
})
