/** docker with the CA and the client certificate that it has for one registry: dockerd(8), `/etc/docker/certs.d`. */
import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { dockerClient } from '../../support/docker-client.ts'
import { type DockerDaemon, startDockerd } from '../../support/dockerd.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { dir, file, tar } from '../../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { TestAuthority } from '../../support/test-authority.ts'
import { varveProgram } from '../../support/varve.ts'

/** Docker looks at no certificate of a registry on a loopback address. */
const address = Object.values(networkInterfaces())
  .flatMap(found => found ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address
const skip =
  (await skipWithout('dockerd', 'openssl')) ||
  (address === undefined && 'this machine has no IPv4 address but loopback ones')

describe('docker with a client certificate', { skip }, () => {
  const stack = new AsyncDisposableStack()
  let directory: TemporaryDirectory
  let authority: TestAuthority
  let daemon: DockerDaemon
  let registry: ServedRegistry
  let host = ''
  const path = (name: string): string => join(directory.path, name)
  const write = (name: string, text: string) => writeFile(name, text, { mode: 0o600 })
  const varve = (...args: readonly string[]): Promise<string> =>
    exec(varveProgram, [...args, '--config', path('varve.yaml')])
  const certificates = (): string => join('/etc/docker/certs.d', host)

  before(async () => {
    directory = stack.use(await temporaryDirectory())
    authority = await TestAuthority.create()
    const ip = Buffer.from((address ?? '').split('.').map(Number))
    const server = await authority.issue({
      subject: '/CN=registry',
      names: [{ kind: 'ip', value: ip }],
      use: 'serverAuth',
    })
    for (const [name, text] of [
      ['cert.pem', server.cert],
      ['key.pem', server.key],
      ['ca.pem', authority.cert],
    ] as const)
      await write(path(name), text)
    const settings = {
      data: path('data'),
      registry: { tls: { certificateFile: path('cert.pem'), keyFile: path('key.pem') } },
      auth: { mode: 'basic', clientCertificates: { caFile: path('ca.pem'), required: true } },
    }
    await write(path('varve.yaml'), JSON.stringify(settings))
    registry = stack.use(
      await serveRegistry(path('data'), '--config', path('varve.yaml'), '--address', `${address}:0`),
    )
    host = new URL(registry.url).host
    await varve('user', 'create', 'alice', '--no-password')
    await varve('tenant', 'create', 'acme')
    await varve('member', 'set', 'acme', 'alice', '--role', 'developer')
    stack.defer(() => rm(certificates(), { recursive: true, force: true }))
    daemon = await startDockerd()
    stack.defer(() => daemon.stop())
    await write(path('root.tar'), tar(dir('etc'), file('etc/motd', 'hello')).toString('latin1'))
    await daemon.docker('import', path('root.tar'), `${host}/acme/web:1`)
  })
  after(() => stack.disposeAsync())

  it('is that account, without a login; without one it is not let in', async () => {
    const image = `${host}/acme/web:1`
    const { docker } = dockerClient(daemon, path('docker'))
    await assert.rejects(docker('push', image), /certificate signed by unknown authority|x509/)
    await mkdir(certificates(), { recursive: true })
    await write(join(certificates(), 'ca.crt'), authority.cert)
    await assert.rejects(docker('push', image), /certificate required|bad certificate|tls/)
    const alice = await authority.issue({ subject: '/CN=alice' })
    await write(join(certificates(), 'client.cert'), alice.cert)
    await write(join(certificates(), 'client.key'), alice.key)
    await docker('push', image)
    await daemon.docker('image', 'rm', image)
    await docker('pull', image)
  })
})
