/** Varve's own importer with credentials for Varve's own private registry: by a command, and by an agent. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  type AccountRegistry,
  type Login,
  smallTag,
  startAccountRegistry,
} from '../../support/account-registry.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'
import { type Ran, runVarve } from '../../support/run-varve.ts'
import { testSecret } from '../../support/test-secrets.ts'
import { startVarveAgent } from '../../support/varve-agent.ts'

const skip = await skipWithout('skopeo')

for (const mode of ['token', 'basic'] as const)
  describe(`A private image of a registry with auth.mode ${mode}`, { skip }, () => {
    let registry: AccountRegistry
    let image = ''
    before(async () => {
      registry = await startAccountRegistry(mode)
      image = `${registry.host}/acme/app:1`
      const { username, password } = registry.login('dave')
      await exec('skopeo', [
        ...['copy', '--dest-tls-verify=false', `--dest-creds=${username}:${password}`],
        ...[`oci:${registry.layout}:${smallTag}`, `docker://${image}`],
      ])
    })
    after(() => registry[Symbol.asyncDispose]())

    const path = (name: string): string => join(registry.directory, name)
    /** Settings of an importer without a pool that knows these accounts by name, each for this registry. */
    async function configFor(name: string, logins: Readonly<Record<string, Login>>): Promise<string> {
      const credentials = []
      for (const [login, { username, password }] of Object.entries(logins)) {
        const passwordFile = path(`${name}-${login}`)
        await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
        credentials.push({ name: login, registry: registry.host, username, passwordFile })
      }
      const importer = { credentials, socket: path(`${name}.sock`) }
      await writeFile(path(`${name}.yaml`), JSON.stringify({ data: path(name), importer }), { mode: 0o600 })
      return path(`${name}.yaml`)
    }
    const varve = (config: string, ...args: readonly string[]): Promise<Ran> =>
      runVarve([...args, '--config', config])
    const succeeds = async (config: string, ...args: readonly string[]): Promise<string> => {
      const ran = await varve(config, ...args)
      assert.equal(ran.code, 0, ran.stderr)
      return ran.stdout
    }

    it('is imported with a password, an API token, and as a robot', async () => {
      const logins = { password: registry.login('gina'), token: registry.token, robot: registry.robot }
      for (const [name, login] of Object.entries(logins)) {
        const config = await configFor(`import-${name}`, { [name]: login })
        await succeeds(config, 'import', image)
        assert.match(await succeeds(config, 'images'), /acme\/app/)
      }
    })

    it('is not imported with a wrong password, by a stranger, or by nobody; the reason is told, and no secret', async () => {
      const wrong = { username: 'gina', password: testSecret('wrong') }
      for (const [name, logins] of Object.entries({
        wrong: { wrong },
        stranger: { zoe: registry.login('zoe') },
        nobody: {},
      })) {
        const config = await configFor(`refused-${name}`, logins)
        const { code, stderr } = await varve(config, 'import', image)
        assert.notEqual(code, 0)
        assert.match(stderr, /acme\/app/)
        assert.match(stderr, /credentials|denied|refuse|not let|password|access/i)
        assert.ok(!stderr.includes(wrong.password))
      }
    })

    it('is cloned by an agent for whoever asks, with the credentials that fit', async () => {
      const config = await configFor('agent', { wrong: registry.login('zoe'), team: registry.robot })
      const agent = await startVarveAgent(['--config', config])
      try {
        const asked = ['clone', image, 'zone-1', '--pull', 'missing', '--socket', agent.socket, '--json']
        const refused = await varve(config, ...asked, '--credentials', 'wrong')
        assert.notEqual(refused.code, 0)
        assert.match(refused.stderr, /acme\/app/)
        const { rootfs } = JSON.parse(await succeeds(config, ...asked, '--credentials', 'team')) as {
          rootfs: string
        }
        assert.equal(await readFile(join(rootfs, 'etc/motd'), 'utf8'), 'hello')
      } finally {
        await agent.stop()
      }
    })

    it('that is public is imported without any', async () => {
      const { username, password } = registry.login('dave')
      const open = `${registry.host}/site/app:1`
      await exec('skopeo', [
        ...['copy', '--dest-tls-verify=false', `--dest-creds=${username}:${password}`],
        ...[`oci:${registry.layout}:${smallTag}`, `docker://${open}`],
      ])
      await succeeds(await configFor('public', {}), 'import', open)
    })
  })
