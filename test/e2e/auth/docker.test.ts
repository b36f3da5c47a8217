/** docker with accounts: its client asks the daemon, and the daemon asks the registry, for a login and for each transfer. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type AccountRegistry, startAccountRegistry } from '../../support/account-registry.ts'
import { type DockerClient, dockerClient } from '../../support/docker-client.ts'
import { type DockerDaemon, startDockerd } from '../../support/dockerd.ts'
import { skipWithout } from '../../support/programs.ts'
import { dir, file, tar } from '../../support/tar.ts'
import { testSecret } from '../../support/test-secrets.ts'

describe('docker', { skip: await skipWithout('dockerd') }, () => {
  let daemon: DockerDaemon
  const stack = new AsyncDisposableStack()
  const registries = new Map<string, AccountRegistry>()
  const local = 'local:1'
  before(async () => {
    daemon = await startDockerd()
    stack.defer(() => daemon.stop())
    for (const mode of ['token', 'basic'] as const)
      registries.set(mode, stack.use(await startAccountRegistry(mode, { tenants: ['narrow'] })))
    const archive = join(registryOf('token').directory, 'root.tar')
    await writeFile(archive, tar(dir('etc'), file('etc/motd', 'hello')))
    await daemon.docker('import', archive, local)
  })
  after(() => stack.disposeAsync())

  function registryOf(mode: string): AccountRegistry {
    const registry = registries.get(mode)
    assert.ok(registry !== undefined)
    return registry
  }
  const clientOf = ({ directory }: AccountRegistry, name: string): DockerClient =>
    dockerClient(daemon, join(directory, `docker-${name}`))
  /** Pushes what the daemon has under a name of the registry. */
  async function push({ docker }: DockerClient, image: string, from = local): Promise<void> {
    await docker('tag', from, image)
    await docker('push', image)
  }
  const forget = (image: string): Promise<string> => daemon.docker('image', 'rm', image)

  for (const mode of ['token', 'basic'] as const)
    describe(`with auth.mode ${mode}`, () => {
      it('logs in, pushes and pulls with a password, an API token, and as a robot', async () => {
        const registry = registryOf(mode)
        const logins = { password: registry.login('dave'), token: registry.token, robot: registry.robot }
        for (const [name, login] of Object.entries(logins)) {
          const client = clientOf(registry, name)
          assert.match(await client.login(registry.host, login), /Login Succeeded/)
          const image = `${registry.host}/acme/docker-${name}:1`
          await push(client, image)
          await forget(image)
          await client.docker('pull', image)
        }
      })

      it('keeps what the registry has for it', async () => {
        const registry = registryOf(mode)
        const client = clientOf(registry, 'kept')
        await client.login(registry.host, registry.login('dave'))
        const kept = await client.kept(registry.host)
        const password = Buffer.from(kept?.auth ?? '', 'base64').toString()
        if (mode === 'token') {
          assert.match(kept?.identitytoken ?? '', /^vrr_/)
          assert.equal(password, 'dave:')
        } else {
          assert.equal(kept?.identitytoken, undefined)
          assert.equal(password, `dave:${registry.login('dave').password}`)
        }
        await client.docker('logout', registry.host)
        assert.equal(await client.kept(registry.host), undefined)
      })

      it('is told of a wrong password, and keeps nothing', async () => {
        const registry = registryOf(mode)
        const client = clientOf(registry, 'wrong')
        const wrong = { username: 'mia', password: testSecret('wrong') }
        await assert.rejects(client.login(registry.host, wrong), /unauthorized|incorrect/i)
        assert.equal(await client.kept(registry.host), undefined)
      })

      it('may not push as a guest, nor see what is not theirs as a stranger', async () => {
        const registry = registryOf(mode)
        const { host } = registry
        const dave = clientOf(registry, 'dave')
        await dave.login(host, registry.login('dave'))
        await push(dave, `${host}/acme/roles:1`)
        const gina = clientOf(registry, 'gina')
        await gina.login(host, registry.login('gina'))
        await gina.docker('pull', `${host}/acme/roles:1`)
        const ours = { token: /denied|unauthorized/, basic: /gina may not push acme\/other\./ }
        await assert.rejects(push(gina, `${host}/acme/other:1`), ours[mode])
        const zoe = clientOf(registry, 'zoe')
        await zoe.login(host, registry.login('zoe'))
        const answers: string[] = []
        for (const name of ['acme/roles', 'acme/absent', 'nowhere/absent'])
          await zoe.docker('pull', `${host}/${name}:1`).then(
            () => assert.fail('it was pulled'),
            (error: unknown) =>
              answers.push(String(error).split('\n').at(-1)?.replaceAll(name, 'NAME') ?? ''),
          )
        assert.equal(new Set(answers).size, 1, answers.join('\n'))
        assert.match(answers[0] ?? '', /denied|unauthorized/)
      })

      it('is told by which quota a push was refused', async () => {
        const registry = registryOf(mode)
        const { host, directory } = registry
        const client = clientOf(registry, 'quota')
        await client.login(host, registry.login('dave'))
        const archive = join(directory, 'large.tar')
        await writeFile(archive, tar(file('large', randomBytes(200_000))))
        await client.docker('import', archive, `large-${mode}:1`)
        // Nobody has pushed to this tenant: what a registry knows of quotas may be two seconds old.
        await registry.varve('tenant', 'set', 'narrow', '--quota', '100KiB')
        const image = `${host}/narrow/large:1`
        await assert.rejects(push(client, image, `large-${mode}:1`), /denied: .*narrow.*100/i)
        await registry.varve('tenant', 'set', 'narrow', '--quota', 'none')
        await push(client, image, `large-${mode}:1`)
      })

      it('pulls what is public without a login, where it is asked for tokens', async () => {
        const registry = registryOf(mode)
        const { host } = registry
        const dave = clientOf(registry, 'dave')
        await dave.login(host, registry.login('dave'))
        const image = `${host}/site/public:1`
        await push(dave, image)
        await forget(image)
        const nobody = clientOf(registry, 'nobody')
        // Where passwords are asked for with each request, docker asks /v2/ first, and gives up.
        if (mode === 'basic') await assert.rejects(nobody.docker('pull', image), /no basic auth credentials/)
        else await nobody.docker('pull', image)
        await daemon.docker('tag', local, `${host}/site/anonymous:1`)
        await assert.rejects(
          nobody.docker('push', `${host}/site/anonymous:1`),
          /denied|unauthorized|no basic auth/,
        )
      })
    })

  it('stays logged in over a restart of the registry and a new key, until the password is another one', async () => {
    const registry = registryOf('token')
    const { host } = registry
    const client = clientOf(registry, 'stays')
    await client.login(host, registry.login('mia'))
    const image = `${host}/acme/stays:1`
    await push(client, image)
    const kept = await client.kept(host)
    const pull = async () => {
      await forget(image)
      await client.docker('pull', image)
    }

    await registry.restart()
    await pull()
    await registry.varve('key', 'rotate')
    await pull()
    await registry.restart()
    await push(client, `${host}/acme/stays:2`)
    assert.deepEqual(await client.kept(host), kept)

    const password = testSecret('another')
    await registry.setPassword('mia', password)
    await assert.rejects(client.docker('pull', image), /unauthorized|denied/)
    await client.login(host, { username: 'mia', password })
    await pull()
  })
})
