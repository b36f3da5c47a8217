/** podman, skopeo and buildah with accounts: the same library, which asks /v2/ first and takes either challenge. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import {
  type AccountRegistry,
  type Login,
  smallTag,
  startAccountRegistry,
} from '../../support/account-registry.ts'
import { withOwnStorage } from '../../support/container-storage.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'

const skip = await skipWithout('skopeo', 'podman', 'buildah')
const plain = '--tls-verify=false'

for (const mode of ['token', 'basic'] as const)
  describe(`With auth.mode ${mode}`, { skip }, () => {
    let registry: AccountRegistry
    let source = ''
    before(async () => {
      registry = await startAccountRegistry(mode)
      source = `oci:${registry.layout}:${smallTag}`
    })
    after(() => registry[Symbol.asyncDispose]())

    const image = (name: string): string => `docker://${registry.host}/${name}`
    const skopeo = (...args: readonly string[]): Promise<string> => exec('skopeo', args)
    const creds = ({ username, password }: Login): string => `${username}:${password}`
    const push = (login: Login, name: string): Promise<string> =>
      skopeo('copy', '--dest-tls-verify=false', `--dest-creds=${creds(login)}`, source, image(name))

    it('skopeo pushes and pulls with a password, an API token, and as a robot', async () => {
      const { digest } = await findTag(registry.layout, smallTag)
      const logins = { password: registry.login('dave'), token: registry.token, robot: registry.robot }
      for (const [name, login] of Object.entries(logins)) {
        await push(login, `acme/skopeo-${name}:1`)
        const pulled = await skopeo(
          ...['inspect', plain, '--format={{.Digest}}', `--creds=${creds(login)}`],
          image(`acme/skopeo-${name}:1`),
        )
        assert.equal(pulled.trim(), digest)
      }
    })

    it('skopeo keeps a login in its file, and forgets it', async () => {
      await push(registry.login('dave'), 'acme/login:1')
      const authFile = `--authfile=${join(registry.directory, 'skopeo-auth.json')}`
      const { username, password } = registry.login('gina')
      await skopeo(
        'login',
        plain,
        authFile,
        `--username=${username}`,
        `--password=${password}`,
        registry.host,
      )
      await skopeo('inspect', plain, authFile, image('acme/login:1'))
      await skopeo('logout', authFile, registry.host)
      await assert.rejects(skopeo('inspect', plain, authFile, image('acme/login:1')), refused)
    })

    it('a wrong password is told as one', async () => {
      const wrong = { username: 'dave', password: registry.login('mia').password }
      await assert.rejects(push(wrong, 'acme/wrong:1'), /invalid username\/password|unauthorized/)
      const authFile = `--authfile=${join(registry.directory, 'no-auth.json')}`
      for (const program of ['skopeo', 'podman', 'buildah'])
        await assert.rejects(
          exec(program, [
            ...['login', plain, authFile, `--username=${wrong.username}`, `--password=${wrong.password}`],
            registry.host,
          ]),
          /invalid username\/password/,
        )
    })

    it('a guest may not push, and a developer may not delete', async () => {
      await push(registry.login('dave'), 'acme/roles:1')
      await assert.rejects(push(registry.login('gina'), 'acme/roles:2'), refused)
      const remove = (name: string) =>
        skopeo('delete', plain, `--creds=${creds(registry.login(name))}`, image('acme/roles:1'))
      const ours = { token: /The token is not good for that\./, basic: /dave may not delete acme\/roles\./ }
      await assert.rejects(remove('dave'), ours[mode])
      const { bytes } = await registry.as('dave').send('GET', '/v2/acme/roles/tags/list')
      assert.deepEqual(JSON.parse(bytes.toString()), { name: 'acme/roles', tags: ['1'] })
      await remove('mia')
      assert.equal((await registry.as('dave').send('GET', '/v2/acme/roles/manifests/1')).status, 404)
    })

    it('strangers are told the same of what is there and of what is not', async () => {
      await push(registry.login('dave'), 'acme/hidden:1')
      const answers = await Promise.all(
        ['acme/hidden:1', 'acme/absent:1', 'nowhere/absent:1'].map(
          async name =>
            await skopeo('inspect', plain, `--creds=${creds(registry.login('zoe'))}`, image(name)).then(
              () => 'pulled',
              (error: unknown) => String(error).split('\n').at(-1)?.replaceAll(name.slice(0, -2), 'NAME'),
            ),
        ),
      )
      assert.equal(new Set(answers).size, 1, answers.join('\n'))
      assert.match(answers[0] ?? '', refused)
    })

    if (mode === 'token')
      it('what is public is pulled without a login', async () => {
        await push(registry.login('dave'), 'site/public:1')
        const { digest } = await findTag(registry.layout, smallTag)
        const got = await skopeo(
          'inspect',
          plain,
          '--no-creds',
          '--format={{.Digest}}',
          image('site/public:1'),
        )
        assert.equal(got.trim(), digest)
        await assert.rejects(
          skopeo('copy', '--dest-tls-verify=false', '--dest-no-creds', source, image('site/public:2')),
          refused,
        )
      })

    for (const program of ['podman', 'buildah'] as const)
      it(`${program} logs in as a robot, pulls, pushes, and may neither after logging out`, async () => {
        await push(registry.login('dave'), 'acme/seed:1')
        const run = withOwnStorage(program, registry.directory)
        const authFile = `--authfile=${join(registry.directory, `${program}-auth.json`)}`
        const { username, password } = registry.robot
        await run('login', plain, authFile, `--username=${username}`, `--password=${password}`, registry.host)
        const [seed, pushed] = ['seed', program].map(name => `${registry.host}/acme/${name}:1`)
        assert.ok(seed !== undefined && pushed !== undefined)
        const id = (await run('pull', '--quiet', plain, authFile, seed)).trim()
        await run('push', plain, authFile, id, `docker://${pushed}`)
        const { digest } = await findTag(registry.layout, smallTag)
        const { headers } = await registry.as('dave').send('HEAD', `/v2/acme/${program}/manifests/1`)
        assert.equal(headers['docker-content-digest'], digest)
        const guest = `--creds=${creds(registry.login('gina'))}`
        await assert.rejects(run('push', plain, guest, id, `docker://${registry.host}/acme/guest:1`), refused)
        await run('logout', authFile, registry.host)
        await assert.rejects(run('pull', '--quiet', plain, authFile, pushed), refused)
        await run('rmi', '--all', '--force')
      })
  })

/** In our words and in those of the library, which does not show ours for all that it asks. */
const refused = /The token is not good for that|may not|authentication required|unauthorized|denied/i
