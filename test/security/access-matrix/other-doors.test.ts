/** Logins with a browser, which are for whoever is not known yet, and the server for operators, which asks nobody. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startDebugServer } from '../../../src/cli/registry/debug-server.ts'
import { createLogger } from '../../../src/log.ts'
import { isSame, told } from './ask.ts'
import { fewKinds } from './credential-kinds.ts'
import { modes, type Outcome } from './expected.ts'
import { browserRoutes, debugRoutes } from './other-routes.ts'
import { outcomeOf, Shown } from './shown.ts'
import { openWorld, type World } from './world.ts'

const absent: Outcome = { status: 404, code: 'UNSUPPORTED' }
const wanted = { name: 'acme/app', actions: ['pull'] } as const

for (const mode of modes)
  describe(`With auth.mode ${mode}`, () => {
    const resources = new AsyncDisposableStack()
    let world: World
    let debugUrl = ''
    before(async () => {
      world = resources.use(await openWorld(mode))
      const log = createLogger({ level: 'silent' })
      const stopping = new AbortController()
      const { metadata, metrics } = world
      const checks = { metadata: () => metadata.ping() }
      const server = await startDebugServer(
        '127.0.0.1:0',
        { checks, metrics, events: metadata, stopping: stopping.signal, log },
        log,
      )
      if (server === undefined) throw new Error('there is no such server')
      debugUrl = server.url
      resources.defer(async () => {
        stopping.abort()
        await server.close()
      })
    })
    after(() => resources.disposeAsync())

    for (const kind of fewKinds) {
      it(`${kind.title} makes no difference to a login with a browser`, async () => {
        const asker = new Shown(world.url, (await kind.make(world, wanted)).authorization)
        for (const { method, path, status, code } of browserRoutes)
          for (const provider of ['github', 'unknown']) {
            const isThere = mode !== 'none' && provider === 'github'
            const expected: Outcome = isThere ? { status, code } : absent
            const actual = outcomeOf(await asker.send(method, path.replace(':provider', provider)))
            const row = `mode ${mode}: ${kind.title} does ${method} ${path} with ${provider}`
            assert.ok(isSame(expected, actual), `${row}: ${JSON.stringify(actual)}`)
          }
      })

      it(`${kind.title} finds nothing for operators at the registry's own address`, async () => {
        const asker = new Shown(world.url, (await kind.make(world, wanted)).authorization)
        for (const { method, path, isPublic } of debugRoutes) {
          const expected = isPublic ? { status: 200 } : told(absent, method)
          const actual = outcomeOf(await asker.send(method, path))
          const row = `mode ${mode}: ${kind.title} does ${method} ${path}`
          assert.ok(isSame(expected, actual), `${row}: ${JSON.stringify(actual)}`)
        }
      })

      it(`${kind.title} makes no difference at the address for operators`, async () => {
        const { authorization } = await kind.make(world, wanted)
        for (const { method, path } of debugRoutes) {
          // Events go on for ever, so nobody waits for their end.
          const answer = await fetch(debugUrl + path, {
            method,
            headers: authorization === undefined ? {} : { authorization },
          })
          await answer.body?.cancel()
          const row = `mode ${mode}: ${kind.title} does ${method} ${path} at the address for operators`
          assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [200, null], row)
        }
      })
    }
  })
