/** crane, oras and regctl with accounts: what each role may do, in the words that they show. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import {
  type AccountRegistry,
  type Login,
  smallTag,
  startAccountRegistry,
} from '../../support/account-registry.ts'
import type { AuthMode } from '../../support/authorized-client.ts'
import { type GoClient, goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'
import { testSecret } from '../../support/test-secrets.ts'

const clients = ['crane', 'oras', 'regctl'] as const
const skip = await skipWithoutClients(...clients)

/** How one client does things; images are `host/name:tag`. */
interface Ways {
  readonly login: (run: Run, host: string, login: Login) => Promise<string>
  readonly push: (run: Run, layout: string, image: string) => Promise<string>
  readonly pull: (run: Run, directory: string, image: string) => Promise<string>
  /** The manifest, by its digest. */
  readonly remove: (run: Run, image: string) => Promise<string>
}

const ways: Readonly<Record<GoClient, Ways>> = {
  crane: {
    login: (run, host, { username, password }) => run('auth', 'login', host, '-u', username, '-p', password),
    push: (run, layout, image) => run('push', layout, image),
    pull: (run, directory, image) => run('pull', image, join(directory, 'pulled.tar')),
    remove: (run, image) => run('delete', image),
  },
  oras: {
    login: (run, host, { username, password }) =>
      run('login', '--plain-http', '-u', username, '-p', password, host),
    push: (run, layout, image) =>
      run('copy', '--from-oci-layout', '--to-plain-http', `${layout}:${smallTag}`, image),
    pull: (run, directory, image) => run('pull', '--plain-http', '-o', join(directory, 'pulled'), image),
    remove: (run, image) => run('manifest', 'delete', '--plain-http', '--force', image),
  },
  regctl: {
    login: (run, host, { username, password }) =>
      run('registry', 'login', host, '--user', username, '--pass', password),
    push: (run, layout, image) => run('image', 'copy', `ocidir://${layout}:${smallTag}`, image),
    pull: (run, directory, image) => run('image', 'export', image, join(directory, 'exported.tar')),
    remove: (run, image) => run('manifest', 'delete', image),
  },
}

for (const mode of ['token', 'basic'] as const)
  describe(`With auth.mode ${mode}`, { skip }, () => {
    let registry: AccountRegistry
    before(async () => {
      registry = await startAccountRegistry(mode)
    })
    after(() => registry[Symbol.asyncDispose]())

    /** With a home of its own, where it is logged in. */
    async function clientOf(client: GoClient, login: Login, name: string): Promise<Run> {
      const directory = join(registry.directory, `${client}-${name}`)
      await mkdir(directory, { recursive: true })
      const run = await goClient(client, { host: registry.host, directory })
      await ways[client].login(run, registry.host, login)
      return run
    }

    for (const client of clients)
      it(`${client} does what its role allows, and tells what it does not`, async () => {
        const { push, pull, remove } = ways[client]
        const { host, layout, directory } = registry
        const { digest } = await findTag(layout, smallTag)
        const image = `${host}/acme/${client}`
        for (const [name, login] of Object.entries({
          password: registry.login('dave'),
          token: registry.token,
          robot: registry.robot,
        })) {
          const run = await clientOf(client, login, name)
          await push(run, layout, `${image}:${name}`)
          await pull(run, directory, `${image}:${name}`)
          assert.equal(
            (await registry.as('gina').send('HEAD', `/v2/acme/${client}/manifests/${name}`)).headers[
              'docker-content-digest'
            ],
            digest,
          )
        }
        const guest = await clientOf(client, registry.login('gina'), 'gina')
        await pull(guest, directory, `${image}:token`)
        await assert.rejects(push(guest, layout, `${host}/acme/${client}-guest:1`), refusalBy(client, mode))
        const developer = await clientOf(client, registry.login('dave'), 'dave')
        await assert.rejects(remove(developer, `${image}@${digest}`), refusalBy(client, mode))
        const maintainer = await clientOf(client, registry.login('mia'), 'mia')
        await remove(maintainer, `${image}@${digest}`)
        assert.equal((await registry.as('mia').send('GET', `/v2/acme/${client}/manifests/token`)).status, 404)
      })

    for (const client of clients)
      it(`${client} is told of a wrong password`, async () => {
        const wrong = { username: 'dave', password: testSecret('wrong') }
        const attempt = async () => {
          const run = await clientOf(client, wrong, 'wrong')
          // crane keeps what it is told, and asks nobody.
          await ways[client].push(run, registry.layout, `${registry.host}/acme/wrong:1`)
        }
        await assert.rejects(attempt(), /unauthorized|401|incorrect/i)
      })
  })

/** In our own words, except that regctl tells of a 401 nothing but that. */
function refusalBy(client: GoClient, mode: AuthMode): RegExp {
  if (mode === 'basic') return /may not (?:push|delete) acme\//
  return client === 'regctl' ? /unauthorized/ : /The token is not good for that\./
}
