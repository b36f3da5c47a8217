/** Who may administer what, with which credential. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Call } from '../../support/registry-client.ts'
import type { AdminRoute } from './admin-route.ts'
import { adminRoutes } from './admin-routes.ts'
import { type Credential, isSame, isSurprise, type Surprise } from './ask.ts'
import { credentialKinds, fewKinds } from './credential-kinds.ts'
import { basicChallenge, modes, type Outcome } from './expected.ts'
import { developer, nobody, people } from './people.ts'
import { outcomeOf, Shown } from './shown.ts'
import { openWorld, type World } from './world.ts'

for (const mode of modes)
  describe(`With auth.mode ${mode}`, () => {
    let world: World
    before(async () => {
      world = await openWorld(mode)
    })
    after(() => world[Symbol.asyncDispose]())

    for (const person of mode === 'none' ? [nobody] : people)
      it(`${person.title} administers what the rules let, and nothing else`, async () => {
        const authorization = await world.loginOf(person)
        const isKnown = person.account !== null && person.state === undefined
        const proof = isKnown
          ? ({ is: 'person', person, as: 'Basic' } as const)
          : ({ is: 'nothing good', as: 'Basic' } as const)
        await askAll(world, person.title, { authorization, proof })
      })

    for (const kind of mode === 'none' ? fewKinds : credentialKinds)
      it(`${kind.title} is worth in administration what it should be`, async () => {
        await askAll(world, kind.title, await kind.make(world, { name: 'acme/app', actions: ['pull'] }))
      })
  })

async function askAll(world: World, who: string, credential: Credential): Promise<void> {
  const surprises: (Surprise | undefined)[] = []
  for (const route of adminRoutes) surprises.push(await askOne(world, who, route, credential))
  assert.deepEqual(surprises.filter(isSurprise), [])
}

async function askOne(
  world: World,
  who: string,
  route: AdminRoute,
  credential: Credential,
): Promise<Surprise | undefined> {
  const { method, path, what, prepare } = route
  const { authorization, administers: proof = credential.proof } = credential
  const person = proof.is === 'person' ? proof.person : developer
  const { parameters = {}, query = '', body } = await prepare({ world, person, mark: world.fresh() })
  const target = path.replace(/[*:](\w+)/g, (text, name: string) => {
    const value = parameters[name] ?? text
    return text.startsWith('*') ? value : encodeURIComponent(value)
  })
  const call: Call =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const actual = outcomeOf(await new Shown(world.url, authorization).send(method, target + query, call))
  const expected = expectedOf(world, route, { authorization, proof })
  if (isSame(expected, actual)) return undefined
  return { row: `mode ${world.mode}: ${who} does ${method} ${path} ${what}`, expected, actual }
}

function expectedOf(
  { mode }: World,
  { lets, status, isForNarrowed }: AdminRoute,
  { proof }: Credential,
): Outcome {
  // Nobody can say who they are, so there is no administration.
  if (mode === 'none') return { status: 404, code: 'UNSUPPORTED' }
  if (proof.is !== 'person') return { status: 401, code: 'UNAUTHORIZED', challenge: basicChallenge }
  if (proof.scopes !== undefined && !isForNarrowed) return { status: 403, code: 'DENIED' }
  switch (lets(proof.person)) {
    case 'yes':
      return { status }
    case 'no':
      return { status: 403, code: 'DENIED' }
    case 'hidden':
      return { status: 404, code: 'NOT_FOUND' }
  }
}
