/** The Dockerfile, built, and what it makes run as its user: in a chroot, because that needs no container runtime. */
import assert from 'node:assert/strict'
import { mkdtemp, realpath, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { version } from '../../src/version.ts'
import { fixtureImage, fixturePrograms } from '../fixtures/make-image.ts'
import { removeWithMounts } from '../support/mounts.ts'
import { exec } from '../support/process.ts'
import { skipWithout } from '../support/programs.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { startServe } from '../support/serve.ts'
import {
  aptSettings,
  type BuildMounts,
  type BuiltImage,
  buildVarveImage,
  npmSettings,
} from '../support/varve-image.ts'

describe('the Dockerfile', { skip: await skipWithout(...fixturePrograms, 'skopeo') }, () => {
  let directory = ''
  let mounts: BuildMounts
  let image: BuiltImage
  before(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), 'varve-dockerfile-')))
    mounts = new Map([...(await npmSettings(directory)), ...(await aptSettings(directory))])
    image = await buildVarveImage(await fixtureImage(), directory, mounts)
  })
  after(() => removeWithMounts(directory))

  /** A command line that runs another one as the image says, without any of this process's environment. */
  const inImage = (line: readonly string[], ...env: readonly string[]): [string, ...string[]] => {
    const { root, user, workingDirectory } = image
    const environment = ['env', '--ignore-environment', `--chdir=${workingDirectory}`, ...image.env, ...env]
    return ['chroot', `--userspec=${user}`, '--groups=', root, ...environment, ...line]
  }
  const run = (...line: readonly string[]): Promise<string> => {
    const [program, ...args] = inImage(line)
    return exec(program, args)
  }

  it('makes an image that prints its version', async () => {
    assert.equal(await run(...image.entrypoint, '--version'), `${version}\n`)
  })

  it('makes an image that does not run as root', async () => {
    assert.notEqual((await run('id', '-u')).trim(), '0')
    assert.notEqual((await run('id', '-g')).trim(), '0')
    await assert.rejects(run('touch', '/usr/lib/varve/dist/cli.js'), /Permission denied/)
  })

  it('makes an image that serves a push and a pull, and stops when it is asked to', async () => {
    const addresses = ['VARVE_REGISTRY_ADDRESS', 'VARVE_REGISTRY_METRICS_ADDRESS']
    const settings = [...addresses.map(name => `${name}=127.0.0.1:0`), 'VARVE_AUTH_MODE=none']
    const server = await startServe(...inImage([...image.entrypoint, ...image.command], ...settings))
    let code: number | null
    try {
      const client = new RegistryClient(server.url)
      const digest = await client.pushImage('image/image', '1', Buffer.from('a layer'))
      const pulled = await client.send('GET', '/v2/image/image/manifests/1')
      assert.equal(pulled.headers['docker-content-digest'], digest)
    } finally {
      code = await server.stop()
    }
    assert.equal(code, 0)
    const { uid } = await stat(join(image.root, 'var/lib/varve/registry'))
    assert.equal(uid, Number(image.user.split(':')[0]))
  })

  it('makes an image that asks who is there, unless it is told not to', async () => {
    const settings = ['VARVE_REGISTRY_ADDRESS=127.0.0.1:0', 'VARVE_REGISTRY_METRICS_ADDRESS=off']
    const server = await startServe(...inImage([...image.entrypoint, ...image.command], ...settings))
    try {
      const { status, headers } = await new RegistryClient(server.url).send('GET', '/v2/')
      assert.equal(status, 401)
      assert.match(headers['www-authenticate'] ?? '', /^Bearer realm=/)
    } finally {
      await server.stop()
    }
  })

  it('leaves nothing of how npm reached its registry in the image', async () => {
    for (const target of mounts.keys()) {
      const found = await stat(join(image.root, target)).catch(() => undefined)
      assert.equal(found?.size ?? 0, 0, target)
    }
  })

  it('leaves no development dependency in the image', async () => {
    await assert.rejects(stat(join(image.root, 'usr/lib/varve/node_modules/typescript')), { code: 'ENOENT' })
    await assert.rejects(stat(join(image.root, 'usr/lib/varve/src')), { code: 'ENOENT' })
  })
})
