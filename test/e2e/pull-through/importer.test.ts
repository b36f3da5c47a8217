/** Our own importer, from our own registry, from another registry. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Login } from '../../support/account-registry.ts'
import { type HubMirror, mirrorModes, startHubMirror } from '../../support/hub-mirror.ts'
import { skipWithout } from '../../support/programs.ts'
import { type Ran, runVarve } from '../../support/run-varve.ts'
import { getsOf, hubPrograms, startUpstreamHub, type UpstreamHub } from '../../support/upstream-hub.ts'

const skip = await skipWithout(...hubPrograms)

for (const mode of mirrorModes)
  describe(`an import through a registry with auth.mode ${mode}`, { skip, timeout: 180_000 }, () => {
    const stack = new AsyncDisposableStack()
    let hub: UpstreamHub
    let mirror: HubMirror
    before(async () => {
      hub = stack.use(await startUpstreamHub())
      mirror = stack.use(await startHubMirror(mode, hub.host))
    })
    after(() => stack.disposeAsync())

    /** With a directory of its own, so that nothing is there already. */
    async function importAs(name: string, login: Login | undefined, image: string): Promise<Ran> {
      const path = (file: string): string => join(mirror.directory, `${name}${file}`)
      const credentials = []
      if (login !== undefined) {
        const passwordFile = path('-password')
        await writeFile(passwordFile, login.password, { mode: 0o600 })
        credentials.push({ name: 'us', registry: mirror.host, username: login.username, passwordFile })
      }
      const config = { data: path('-data'), importer: { credentials, socket: path('.sock') } }
      await writeFile(path('.yaml'), JSON.stringify(config), { mode: 0o600 })
      return await runVarve(['import', `${mirror.host}/${image}`, '--config', path('.yaml')])
    }

    if (mode !== 'none')
      it('of a private upstream is a member’s alone', async () => {
        const secret = await hub.push('secret/app', '1')
        hub.gets()
        for (const [name, login] of [
          ['nobody', undefined],
          ['zoe', mirror.login('zoe')],
        ] as const) {
          const { code, stderr } = await importAs(name, login, 'acme/hub/secret/app:1')
          assert.notEqual(code, 0)
          assert.match(stderr, /acme\/hub\/secret\/app/)
        }
        assert.deepEqual(hub.gets(), [])
        const { code, stderr } = await importAs('gina', mirror.login('gina'), 'acme/hub/secret/app:1')
        assert.equal(code, 0, stderr)
        assert.deepEqual(hub.gets(), getsOf(secret))
      })

    it('is whole, and each part comes once; and again when the upstream is gone', async () => {
      const image = await hub.push('team/app', '1', 3_000_000)
      hub.gets()
      const first = await importAs('first', mirror.anybody, 'docker.io/team/app:1')
      assert.equal(first.code, 0, first.stderr)
      assert.deepEqual(hub.gets(), getsOf(image))
      await hub.front.stop()
      const again = await importAs('again', mirror.anybody, 'docker.io/team/app:1')
      assert.equal(again.code, 0, again.stderr)
    })
  })
