/** containerd's ctr with accounts: `--user`, and a directory of hosts (hosts.toml). */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import {
  type AccountRegistry,
  type Login,
  smallTag,
  startAccountRegistry,
} from '../../support/account-registry.ts'
import { type Containerd, startContainerd } from '../../support/containerd.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'
import { testSecret } from '../../support/test-secrets.ts'

describe("containerd's ctr", { skip: await skipWithout('containerd') }, () => {
  let daemon: Containerd
  before(async () => {
    daemon = await startContainerd()
  })
  after(() => daemon.stop())

  for (const mode of ['token', 'basic'] as const)
    describe(`with auth.mode ${mode}`, () => {
      let registry: AccountRegistry
      const local = `localhost/${mode}:${smallTag}`
      before(async () => {
        registry = await startAccountRegistry(mode)
        const archive = join(registry.directory, 'layout.tar')
        await exec('tar', ['--create', '--file', archive, '--directory', registry.layout, '.'])
        const base = `--base-name=localhost/${mode}`
        await daemon.ctr('images', 'import', '--all-platforms', '--no-unpack', base, archive)
      })
      after(() => registry[Symbol.asyncDispose]())

      const as = ({ username, password }: Login): string => `--user=${username}:${password}`
      const push = (name: string, ...options: readonly string[]): Promise<string> =>
        daemon.ctr('images', 'push', '--plain-http', ...options, `${registry.host}/${name}`, local)
      const fetch = (name: string, ...options: readonly string[]): Promise<string> =>
        daemon.ctr(
          'content',
          'fetch',
          '--plain-http',
          '--all-platforms',
          ...options,
          `${registry.host}/${name}`,
        )

      it('pushes and pulls with a password, an API token, and as a robot', async () => {
        const logins = { password: registry.login('dave'), token: registry.token, robot: registry.robot }
        const { digest } = await findTag(registry.layout, smallTag)
        for (const [name, login] of Object.entries(logins)) {
          await push(`acme/ctr-${name}:1`, as(login))
          await fetch(`acme/ctr-${name}:1`, as(login))
          const { headers } = await registry.as('gina').send('HEAD', `/v2/acme/ctr-${name}/manifests/1`)
          assert.equal(headers['docker-content-digest'], digest)
        }
      })

      it('pulls through a directory of hosts', async () => {
        await push('acme/hosts:1', as(registry.login('dave')))
        const hosts = join(registry.directory, 'hosts')
        await mkdir(join(hosts, registry.host), { recursive: true })
        const toml = `server = "http://${registry.host}"\n[host."http://${registry.host}"]\n  capabilities = ["pull", "resolve"]\n`
        await writeFile(join(hosts, registry.host, 'hosts.toml'), toml)
        const image = `${registry.host}/acme/hosts:1`
        const options = [`--hosts-dir=${hosts}`, '--all-platforms']
        await daemon.ctr('content', 'fetch', ...options, as(registry.login('gina')), image)
        await assert.rejects(daemon.ctr('content', 'fetch', ...options, image), refused)
      })

      it('is refused with a wrong password, as a guest that pushes, and as a stranger', async () => {
        await push('acme/refused:1', as(registry.login('dave')))
        const wrong = { username: 'dave', password: testSecret('wrong') }
        await assert.rejects(fetch('acme/refused:1', as(wrong)), refused)
        await assert.rejects(push('acme/refused:2', as(registry.login('gina'))), refusedPush)
        const { status } = await registry.as('dave').send('HEAD', '/v2/acme/refused/manifests/2')
        assert.equal(status, 404)
        const answers: string[] = []
        for (const name of ['acme/refused', 'acme/absent'])
          await fetch(`${name}:1`, as(registry.login('zoe'))).then(
            () => assert.fail('it was pulled'),
            (error: unknown) =>
              answers.push(String(error).split('\n').at(-1)?.replaceAll(name, 'NAME') ?? ''),
          )
        assert.equal(answers[0], answers[1])
      })

      // It asks for what it wants, and for a token or a password only when it is told to: so either mode will do.
      it('pulls what is public without a login', async () => {
        await push('site/public:1', as(registry.login('dave')))
        await fetch('site/public:1')
        await assert.rejects(push('site/public:2'), refusedPush)
      })
    })
})

const refused =
  /401|403|[Uu]nauthorized|[Ff]orbidden|authorization failed|insufficient_scope|denied|no basic auth/

/** It may see its own pipe closed before it has read why: the answer comes while it still writes the manifest. */
const refusedPush = new RegExp(`${refused.source}|read/write on closed pipe`)
