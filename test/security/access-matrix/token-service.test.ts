/** What the token service gives to whom, and for what. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodeJwt } from 'jose'
import { passwordOf } from '../../support/known-identities.ts'
import { type Answer, RegistryClient } from '../../support/registry-client.ts'
import { isSame, told } from './ask.ts'
import { credentialKinds } from './credential-kinds.ts'
import { basicChallenge, modes, type Outcome } from './expected.ts'
import { type Action, admin, people, type Person } from './people.ts'
import { repositories, type Repository } from './repositories.ts'
import { may, type Proof } from './rules.ts'
import { outcomeOf, Shown } from './shown.ts'
import { type TokenRoute, tokenRoutes } from './other-routes.ts'
import { openWorld, type World } from './world.ts'

const everything: readonly Action[] = ['pull', 'push', 'delete']
const refused: Outcome = { status: 401, code: 'UNAUTHORIZED', challenge: basicChallenge }
const absent: Outcome = { status: 404, code: 'UNSUPPORTED' }

for (const mode of modes)
  describe(`With auth.mode ${mode}`, () => {
    let world: World
    before(async () => {
      world = await openWorld(mode)
    })
    after(() => world[Symbol.asyncDispose]())

    for (const kind of credentialKinds)
      it(`${kind.title} gets a token, or none, at each place of the token service`, async () => {
        const { authorization, proof } = await kind.make(world, { name: 'acme/app', actions: ['pull'] })
        const asker = new Shown(world.url, authorization)
        for (const route of tokenRoutes) {
          const { method, path } = route
          const expected = mode === 'token' ? answerTo(route, proof) : absent
          const actual = outcomeOf(await asker.send(method, path))
          assert.ok(
            isSame(told(expected, method), actual),
            `mode ${mode}: ${kind.title} does ${method} ${path}: ${JSON.stringify(actual)}`,
          )
        }
      })

    if (mode !== 'token') return

    for (const person of people)
      for (const repository of repositories)
        it(`${person.title} gets for ${repository.title} what the rules let, however it is asked for`, async () => {
          const client = new RegistryClient(world.url)
          const scope = `repository:${repository.name}:${everything.join(',')}`
          const expected = accessFor(person, repository)
          const login = await world.loginOf(person)
          const headers: Record<string, string> = login === undefined ? {} : { authorization: login }
          const query = new URLSearchParams({ service: 'varve', scope, offline_token: 'true' })
          const path = `/token?${query.toString()}`
          assert.deepEqual(
            grantedBy(await client.send('GET', path, { headers })),
            expected,
            `${person.title}: GET`,
          )
          if (login === undefined) return
          const [username = '', ...secret] = Buffer.from(login.slice(6), 'base64').toString().split(':')
          const byPassword = await post(client, {
            grant_type: 'password',
            username,
            password: secret.join(':'),
            scope,
            access_type: 'offline',
          })
          assert.deepEqual(grantedBy(byPassword), expected, `${person.title}: POST by password`)
          const refreshToken = refreshTokenIn(byPassword)
          assert.equal(refreshToken !== undefined, person.state === undefined && person.by !== 'OpenID token')
          if (refreshToken === undefined) return
          const renewed = await post(client, {
            grant_type: 'refresh_token',
            refresh_token: refreshToken,
            scope,
          })
          assert.deepEqual(grantedBy(renewed), expected, `${person.title}: POST by refresh token`)
        })

    it('gives each scope of several for itself', async () => {
      const scopes = repositories.map(({ name }) => `repository:${name}:pull,push`)
      const query = new URLSearchParams(scopes.map(scope => ['scope', scope] as [string, string]))
      for (const person of people.filter(({ state }) => state === undefined)) {
        const asker = new Shown(world.url, await world.loginOf(person))
        const expected = repositories.flatMap(repository =>
          accessOf(
            repository,
            ['pull', 'push'].filter(action => may(person, action as Action, repository)),
          ),
        )
        assert.deepEqual(
          grantedBy(await asker.send('GET', `/token?${query.toString()}`)),
          expected,
          person.title,
        )
      }
    })

    const account = admin.account ?? ''
    const password = passwordOf(account)
    for (const [what, form, status, oauth] of [
      ['nothing', {}, 400, 'invalid_request'],
      ['an unknown grant type', { grant_type: 'client_credentials' }, 400, 'unsupported_grant_type'],
      [
        'a wrong password',
        { grant_type: 'password', username: account, password: 'x' },
        401,
        'invalid_grant',
      ],
      ['no password', { grant_type: 'password', username: account }, 400, 'invalid_request'],
      ['a made-up refresh token', { grant_type: 'refresh_token', refresh_token: 'x' }, 401, 'invalid_grant'],
      [
        'a password for another account',
        { grant_type: 'password', username: account, password, account: 'dave' },
        401,
        'invalid_grant',
      ],
      [
        'a password for another service',
        { grant_type: 'password', username: account, password, service: 'elsewhere' },
        400,
        'invalid_request',
      ],
    ] as const)
      it(`answers a form with ${what} with ${status} ${oauth}`, async () => {
        const answer = await post(new RegistryClient(world.url), form)
        const challenge = status === 401 ? basicChallenge : undefined
        assert.deepEqual([answer.status, answer.headers['www-authenticate']], [status, challenge])
        assert.equal((JSON.parse(answer.bytes.toString()) as { error: string }).error, oauth)
      })
  })

function answerTo({ gives }: TokenRoute, proof: Proof): Outcome {
  if (gives === 'keys') return { status: 200 }
  // A form it has to be, whatever the header says.
  if (gives === 'a token for a form') return { status: 400, code: 'INVALID' }
  const isKnown = proof.is === 'nobody' || (proof.is === 'person' && proof.as === 'Basic')
  return isKnown ? { status: 200 } : refused
}

/** Undefined: not even a token for nothing. */
function accessFor(person: Person, repository: Repository): object[] | undefined {
  if (person.state !== undefined) return undefined
  return accessOf(
    repository,
    everything.filter(action => may(person, action, repository)),
  )
}

function accessOf({ name }: Repository, actions: readonly string[]): object[] {
  return actions.length === 0 ? [] : [{ type: 'repository', name, actions }]
}

function grantedBy({ status, bytes, headers }: Answer): unknown {
  if (status === 401) {
    assert.equal(headers['www-authenticate'], basicChallenge)
    return undefined
  }
  assert.equal(status, 200, bytes.toString())
  const { token, access_token: same } = JSON.parse(bytes.toString()) as Record<string, string>
  assert.equal(token, same)
  return decodeJwt(token ?? '')['access']
}

function refreshTokenIn({ bytes }: Answer): string | undefined {
  return (JSON.parse(bytes.toString()) as { readonly refresh_token?: string }).refresh_token
}

async function post(client: RegistryClient, form: Readonly<Record<string, string>>): Promise<Answer> {
  return await client.send('POST', '/token', {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  })
}
