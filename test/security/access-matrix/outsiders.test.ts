/** Whoever may not know of something gets the same answer as where there is nothing: the same bytes. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { definition } from './admin-mirror-routes.ts'
import { adminRoutes } from './admin-routes.ts'
import { developer, type Person, people } from './people.ts'
import { fill, repositoryRoutes, spelledRoutes } from './protocol-routes.ts'
import { Shown } from './shown.ts'
import { openWorld, type World } from './world.ts'

/** Of one length, so that not even the length of an answer differs: there, absent, and two of no tenant. */
const names = ['acme/app', 'acme/nil', 'gone/app', 'gone/nil'] as const
/** Of the tenant acme nothing is for them. */
const outsiders = people.filter(
  ({ roles, isAdmin, state }) => roles?.['acme'] === undefined && isAdmin !== true && state === undefined,
)

/** Operations whose path names something. */
const named = new Set(
  adminRoutes.filter(({ path }) => /[:*]/.test(path)).map(({ method, path }) => `${method} ${path}`),
)

for (const mode of ['token', 'basic'] as const)
  describe(`With auth.mode ${mode}`, () => {
    let world: World
    let uploadId = ''
    const run = newMirrorRunId(new Date())
    const otherRun = newMirrorRunId(new Date())
    const known = new Map<string, Promise<readonly (string | undefined)[]>>()
    before(async () => {
      world = await openWorld(mode)
      const insider = new Shown(world.url, await world.loginOf(developer))
      const tenant = parseTenantName('acme')
      await world.metadata.createAccount({ name: parseAccountName('acme+robby'), kind: 'robot', tenant })
      const job = parseMirrorJobName('mira')
      const [startedAt, updatedAt] = [new Date(), new Date()]
      await world.metadata.putMirrorJob({
        name: job,
        definition: JSON.stringify({ ...definition, name: job }),
        updatedAt,
      })
      await world.metadata.beginMirrorRun({ id: run, job, trigger: 'api', by: null, startedAt })
      uploadId = (await insider.startUpload('acme/app')).split('?')[0]?.split('/').at(-1) ?? ''
    })
    after(() => world[Symbol.asyncDispose]())

    for (const person of outsiders) {
      for (const { method, path } of [...repositoryRoutes, ...spelledRoutes])
        it(`${person.title} is answered the same for what is private and what is absent: ${method} ${path}`, async () => {
          const answers = new Set<string>()
          for (const name of names)
            for (const reference of path.includes(':reference') ? ['1', '2'] : [''])
              for (const authorization of await authorizationsFor(person, name)) {
                const target = fill(path, name, { reference, id: uploadId })
                const answer = await bytesOf(method, target, authorization)
                assert.match(answer, /^HTTP\/1\.1 40[13] /)
                answers.add(`${authorization?.split(' ')[0]}: ${answer.replaceAll(name, 'NAME')}`)
              }
          // One for each way to show who they are.
          assert.equal(
            answers.size,
            (await authorizationsFor(person, names[0])).length,
            [...answers].join('\n'),
          )
        })

      if (person.account === null) continue
      for (const question of named)
        it(`${person.title} learns of no tenant and no account by ${question}`, async () => {
          const [method = '', path = ''] = question.split(' ')
          const answers = new Set<string>()
          const login = await world.loginOf(person)
          for (const there of [true, false]) {
            const values: Readonly<Record<string, string>> = {
              tenant: there ? 'acme' : 'gone',
              repository: there ? 'acme/app' : 'gone/app',
              user: there ? 'gina' : 'gino',
              account: there ? 'gina' : 'gino',
              robot: there ? 'robby' : 'robin',
              job: there ? 'mira' : 'nira',
              run: there ? run : otherRun,
              backup: there ? '20300131t115959x0123456789ab' : '20300131t115959xba9876543210',
              digest: (there ? 'a' : 'b').repeat(64).replace(/^/, 'sha256:'),
            }
            const target = path.replace(/[*:](\w+)/g, (_, key: string) => values[key] ?? 'x')
            const answer = await bytesOf(method, target, login, bodyFor(method, path, values))
            assert.match(answer, /^HTTP\/1\.1 40[34] /)
            answers.add(Object.values(values).reduce((all, value) => all.replaceAll(value, 'NAME'), answer))
          }
          assert.equal(answers.size, 1, [...answers].join('\n'))
        })
    }

    /** All ways in which this person can ask: by password or API token, and by an access token for all there is. */
    function authorizationsFor(person: Person, name: string): Promise<readonly (string | undefined)[]> {
      const key = `${person.title} ${name}`
      const found = known.get(key) ?? makeAuthorizations(person, name)
      known.set(key, found)
      return found
    }

    async function makeAuthorizations(
      person: Person,
      name: string,
    ): Promise<readonly (string | undefined)[]> {
      const login = await world.loginOf(person)
      if (mode === 'basic') return [login]
      const query = new URLSearchParams({ scope: `repository:${name}:pull,push,delete` })
      const headers: Record<string, string> = login === undefined ? {} : { authorization: login }
      const answer = await new RegistryClient(world.url).send('GET', `/token?${query.toString()}`, {
        headers,
      })
      const { token } = JSON.parse(answer.bytes.toString()) as { readonly token: string }
      return [login, `Bearer ${token}`]
    }

    /** Everything that came over the connection, without what is of the moment. */
    async function bytesOf(
      method: string,
      target: string,
      authorization: string | undefined,
      body?: string,
    ): Promise<string> {
      const raw = await connectRaw(world.url)
      const lines = [`${method} ${target} HTTP/1.1`, `Host: ${new URL(world.url).host}`, 'Connection: close']
      if (authorization !== undefined) lines.push(`Authorization: ${authorization}`)
      if (body !== undefined) lines.push('Content-Type: application/json')
      lines.push(`Content-Length: ${body?.length ?? 0}`, '', body ?? '')
      raw.socket.write(lines.join('\r\n'))
      const answer = await raw.ended()
      raw.socket.destroy()
      return answer.replace(/^(Date|X-Request-Id): .*$/gim, '$1: …')
    }
  })

/** Good for each of these operations, so that they are not refused for what is written wrongly. */
function bodyFor(
  method: string,
  path: string,
  { job, tenant }: Readonly<Record<string, string>>,
): string | undefined {
  if (method === 'GET' || method === 'DELETE') return undefined
  if (path.endsWith('/jobs/:job')) return JSON.stringify({ definition: { ...definition, name: job } })
  if (path.endsWith('/robots')) return JSON.stringify({ name: 'new' })
  if (path.endsWith('/grants'))
    return JSON.stringify({ subject: 'pat', pattern: 'acme/x', actions: ['pull'] })
  if (path.endsWith('/tag-rules')) return JSON.stringify({ repositories: 'acme/x', tags: 'x' })
  if (path.endsWith('/visibility')) return JSON.stringify({ visibility: 'public' })
  if (path.endsWith('/*repository/name')) return JSON.stringify({ name: `${tenant}/new` })
  if (path.endsWith('/expiry')) return JSON.stringify({ expiresAt: '2100-01-01T00:00:00Z' })
  if (path.endsWith('/retention'))
    return JSON.stringify({ policy: { repositories: ['x'], untaggedAfter: '1d' } })
  if (path.includes('/members/')) return JSON.stringify({ role: 'owner' })
  return JSON.stringify({})
}
