/** What `npm run build` makes, run as it is installed: JavaScript, beside the packages. */
import assert from 'node:assert/strict'
import { copyFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { version } from '../../src/version.ts'
import { exec } from '../support/process.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { startServe } from '../support/serve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const repository = join(import.meta.dirname, '../..')

describe('the compiled program', () => {
  let directory: TemporaryDirectory
  let cli = ''
  before(async () => {
    directory = await temporaryDirectory()
    const dist = join(directory.path, 'dist')
    const compiler = join(repository, 'node_modules/typescript/bin/tsc')
    await exec(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', dist], {
      cwd: repository,
    })
    await copyFile(join(repository, 'package.json'), join(directory.path, 'package.json'))
    await symlink(join(repository, 'node_modules'), join(directory.path, 'node_modules'))
    cli = join(dist, 'cli.js')
  })
  after(() => directory.remove())

  it('prints its version', async () => {
    assert.equal(await exec(process.execPath, [cli, '--version']), `${version}\n`)
  })

  it('serves a push and a pull, and stops when it is asked to', async () => {
    const address = ['--address', '127.0.0.1:0', '--metrics-address', '127.0.0.1:0']
    const data = join(directory.path, 'data')
    const server = await startServe(process.execPath, cli, 'serve', ...address, '--data', data)
    let code: number | null
    try {
      const client = new RegistryClient(server.url)
      const digest = await client.pushImage('dist/image', '1', Buffer.from('a layer'))
      const pulled = await client.send('GET', '/v2/dist/image/manifests/1')
      assert.equal(pulled.headers['docker-content-digest'], digest)
    } finally {
      code = await server.stop()
    }
    assert.equal(code, 0)
  })
})
