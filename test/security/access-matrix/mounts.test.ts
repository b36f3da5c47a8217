/** From where who may mount a blob: from where they may pull, and from nowhere else. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { basicChallenge, modes } from './expected.ts'
import { nobody, people, type Person } from './people.ts'
import { privateRepository, repositories, type Repository } from './repositories.ts'
import { may } from './rules.ts'
import { outcome, outcomeOf, Shown } from './shown.ts'
import { openWorld, type World } from './world.ts'

/** A grant lets everybody push there. */
const target = 'acme/box/app'
const sources = repositories.filter(({ isThere, name }) => isThere && name !== target)

for (const mode of modes)
  describe(`With auth.mode ${mode}`, () => {
    let world: World
    before(async () => {
      world = await openWorld(mode)
    })
    after(() => world[Symbol.asyncDispose]())

    for (const person of people.filter(({ state }) => state === undefined))
      for (const source of sources)
        it(`${person.title} mounts from ${source.title} when the rules let pull there`, async () => {
          const asker = new Shown(world.url, await authorizationFor(world, person, source))
          const isLetIn = mode === 'none' || may(person, 'pull', source)
          const digest = await world.admin.pushBlob(source.name, Buffer.from(`blob ${world.fresh()}`))
          const absent = digestOf(Buffer.from(`nobody has ${world.fresh()}`))
          const named = `mount=${digest}&from=${source.name}`
          assert.equal((await start(asker, named)).status, isLetIn ? 201 : 202, 'named')
          assert.equal((await start(asker, `mount=${absent}&from=${source.name}`)).status, 202, 'absent')
          const found = await world.admin.send('HEAD', `/v2/${target}/blobs/${digest}`)
          assert.equal(found.status, isLetIn ? 200 : 404)
          if (isLetIn) return
          // Whoever has it, without a name it is found only where the asker may pull.
          assert.equal((await start(asker, `mount=${digest}`)).status, 202, 'without a name')
        })

    it('whoever may not push is told which token is wanted, with the source in it', async () => {
      const query = `mount=${digestOf(Buffer.from('x'))}&from=site/app`
      const path = `/v2/${privateRepository.name}/blobs/uploads/?${query}`
      const actual = outcomeOf(await new Shown(world.url, undefined).send('POST', path))
      const scope = `repository:${privateRepository.name}:pull,push repository:site/app:pull`
      const challenges = {
        none: undefined,
        basic: basicChallenge,
        token: `Bearer realm="${world.url}/token",service="varve",scope="${scope}"`,
      }
      const expected = mode === 'none' ? outcome(202) : outcome(401, 'UNAUTHORIZED', challenges[mode])
      assert.deepEqual(actual, expected)
    })
  })

async function start(asker: Shown, query: string) {
  return await asker.send('POST', `/v2/${target}/blobs/uploads/?${query}`)
}

/** In mode token, one for the target and for the source, as docker asks for it. */
async function authorizationFor(
  world: World,
  person: Person,
  source: Repository,
): Promise<string | undefined> {
  const login = world.mode === 'none' && person === nobody ? undefined : await world.loginOf(person)
  if (world.mode !== 'token') return login
  const query = new URLSearchParams([
    ['scope', `repository:${target}:pull,push`],
    ['scope', `repository:${source.name}:pull`],
  ])
  const headers: Record<string, string> = login === undefined ? {} : { authorization: login }
  const { bytes } = await new RegistryClient(world.url).send('GET', `/token?${query.toString()}`, { headers })
  return `Bearer ${(JSON.parse(bytes.toString()) as { readonly token: string }).token}`
}
