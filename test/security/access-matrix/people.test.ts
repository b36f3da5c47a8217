/** Who may do what, where: every person at every repository by every route of the protocol, in every mode. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { ask, type Credential, isSurprise, nameIn } from './ask.ts'
import { type Mode, modes, type Need, scopeFor } from './expected.ts'
import { type Action, nobody, outsider, people, type Person } from './people.ts'
import { plainRoutes, repositoryRoutes } from './protocol-routes.ts'
import { privateRepository, repositories, type Repository } from './repositories.ts'
import { may } from './rules.ts'
import { Shown } from './shown.ts'
import { openWorld, type World } from './world.ts'

for (const mode of modes)
  describe(`With auth.mode ${mode}`, () => {
    let world: World
    before(async () => {
      world = await openWorld(mode)
    })
    after(() => world[Symbol.asyncDispose]())

    for (const person of peopleOf(mode)) {
      it(`${person.title} gets what is of no repository as expected`, async () => {
        const surprises = plainRoutes.map(async route => {
          const credential = await credentialFor(world, person, route.needs, privateRepository, '')
          return await ask(world, person.title, route, privateRepository, '', credential)
        })
        assert.deepEqual((await Promise.all(surprises)).filter(isSurprise), [])
      })

      it(`${person.title} is listed what the rules let pull, and nothing else`, async () => {
        const { authorization } = await credentialFor(world, person, 'catalog', privateRepository, '')
        const answer = await new Shown(world.url, authorization).send('GET', '/v2/_catalog?n=1000')
        if (person.state !== undefined && mode !== 'none') return assert.equal(answer.status, 401)
        const { repositories: listed } = JSON.parse(answer.bytes.toString()) as { repositories: string[] }
        const isVisible = (one: Repository) => mode === 'none' || may(person, 'pull', one)
        // Rows before have made some that were not there.
        const missing = repositories.filter(
          one => one.isThere && isVisible(one) && !listed.includes(one.name),
        )
        const surplus = listed.filter(name => !repositories.some(one => isOf(one, name) && isVisible(one)))
        assert.deepEqual({ missing, surplus }, { missing: [], surplus: [] })
      })

      for (const repository of repositories)
        it(`${person.title} does at ${repository.title} what the rules let, and nothing else`, async () => {
          const before = await tagsOf(world, repository)
          const surprises = repositoryRoutes.map(async route => {
            const name = nameIn(world, repository)
            const credential = await credentialFor(world, person, route.needs, repository, name)
            return await ask(world, person.title, route, repository, name, credential)
          })
          assert.deepEqual((await Promise.all(surprises)).filter(isSurprise), [])
          if (!repository.isThere) return
          const tags = await tagsOf(world, repository)
          const added = tags.filter(tag => !before.includes(tag))
          const pushes =
            mode === 'none' || (may(person, 'pull', repository) && may(person, 'push', repository))
          assert.equal(added.length, pushes ? 1 : 0, 'tags that were pushed and stayed')
          assert.ok(tags.includes('1'), 'what may not be deleted is there')
        })
    }
  })

function isOf({ name, isThere }: Repository, given: string): boolean {
  return isThere ? given === name : given.startsWith(`${name}-`)
}

/** Where nobody is asked who they are, it is enough to see that nobody is refused, whatever they show. */
function peopleOf(mode: Mode): readonly Person[] {
  return mode === 'none' ? [nobody, outsider, ...people.filter(({ state }) => state === 'disabled')] : people
}

async function tagsOf({ metadata }: World, { name, isThere }: Repository): Promise<readonly string[]> {
  return isThere ? await metadata.listTags(parseRepositoryName(name), { limit: 1000 }) : []
}

/** As docker would have it: with tokens, one for just what the challenge names. */
async function credentialFor(
  world: World,
  person: Person,
  need: Need,
  repository: Repository,
  name: string,
): Promise<Credential> {
  const login = await world.loginOf(person)
  // No token service gives them a token.
  if (person.state !== undefined) return { authorization: login, proof: { is: 'nothing good', as: 'Basic' } }
  if (world.mode !== 'token')
    return {
      authorization: login,
      proof: person.account === null ? { is: 'nobody' } : { is: 'person', person, as: 'Basic' },
    }
  const wanted: readonly Action[] = typeof need === 'string' ? [] : need
  const actions = wanted.filter(action => may(person, action, repository))
  return {
    authorization: `Bearer ${await tokenFor(world, login, scopeFor(need, name))}`,
    proof: { is: 'token', access: [{ name, actions }], listsAll: need === 'catalog' },
  }
}

/** By who asks, and for what. Tokens are good for longer than a test. */
const tokens = new Map<string, string>()

async function tokenFor({ url }: World, login: string | undefined, scope: string): Promise<string> {
  const key = JSON.stringify([url, login, scope])
  const known = tokens.get(key)
  if (known !== undefined) return known
  const query = new URLSearchParams({ service: 'varve', ...(scope === '' ? {} : { scope }) })
  const headers: Record<string, string> = login === undefined ? {} : { authorization: login }
  const { status, bytes } = await new RegistryClient(url).send('GET', `/token?${query.toString()}`, {
    headers,
  })
  assert.equal(status, 200, bytes.toString())
  const { token } = JSON.parse(bytes.toString()) as { readonly token: string }
  tokens.set(key, token)
  return token
}
