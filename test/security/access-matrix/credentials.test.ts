/** What each kind of credential is worth, by every route of the protocol, in every mode. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ask, isSurprise } from './ask.ts'
import { credentialKinds } from './credential-kinds.ts'
import { modes } from './expected.ts'
import { plainRoutes, repositoryRoutes, spelledRoutes } from './protocol-routes.ts'
import { privateRepository, publicRepository } from './repositories.ts'
import { openWorld, type World } from './world.ts'

for (const mode of modes)
  describe(`With auth.mode ${mode}`, () => {
    let world: World
    before(async () => {
      world = await openWorld(mode)
    })
    after(() => world[Symbol.asyncDispose]())

    for (const kind of credentialKinds)
      for (const repository of repositoriesOf(mode)) {
        const { name } = repository
        it(`${kind.title} is worth at ${repository.title} what it should be`, async () => {
          const isFirst = repository === privateRepository
          const routes = [...repositoryRoutes, ...(isFirst ? [...plainRoutes, ...spelledRoutes] : [])]
          const surprises = routes.map(async route => {
            const { needs } = route
            const wanted = { name, actions: typeof needs === 'string' ? [] : needs }
            const credential = await kind.make(world, wanted)
            return await ask(world, kind.title, route, repository, name, credential)
          })
          assert.deepEqual((await Promise.all(surprises)).filter(isSurprise), [])
        })
      }
  })

function repositoriesOf(mode: string) {
  return mode === 'none' ? [privateRepository] : [privateRepository, publicRepository]
}
