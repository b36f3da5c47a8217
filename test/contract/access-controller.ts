import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { join } from 'node:path'
import { type DomainError, isDomainError } from '../../src/errors.ts'
import type { Access } from '../../src/registry/auth/access.ts'
import type { AccessController, Caller, Credentials } from '../../src/registry/auth/access-controller.ts'
import { AccessPolicy } from '../../src/registry/auth/access-policy.ts'
import type { Logins } from '../../src/registry/auth/login.ts'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import type { Action } from '../../src/storage/accounts/roles.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { basic, identityOf, KnownIdentities } from '../support/known-identities.ts'
import { rejectsWith } from '../support/rejects.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** What a controller is made from. */
export interface AccessParts {
  readonly policy: AccessPolicy
  readonly logins: Logins
  readonly metadata: Metadata
  /** Name of the registry: `registry.example.com`. */
  readonly service: string
}

export interface OpenedAccess {
  readonly controller: AccessController
  /** What somebody sends who wants to do this; undefined for nothing at all. @param name undefined: nobody in particular. */
  show(name: string | undefined, wanted: readonly Access[]): Promise<string | undefined>
}

const service = 'registry.example.com'

/** Headers that prove nothing. */
const malformed = [
  'Basic',
  'Basic !',
  `Basic ${Buffer.from('no colon').toString('base64')}`,
  `Basic ${Buffer.from('alice:\0').toString('base64')}`,
  `Basic ${'A'.repeat(9000)}`,
  'Digest username="alice"',
  'Bearer',
  'Bearer a b',
  'Bearer ....',
  `Bearer ${'x'.repeat(9000)}`,
  '\u00ff',
]

/** The contract of AccessController. @param scheme of its challenges. */
export function accessControllerContract(
  title: string,
  scheme: 'Basic' | 'Bearer',
  open: (parts: AccessParts) => Promise<OpenedAccess>,
): void {
  describe(`${title} is an AccessController that`, () => {
    const resources = new AsyncDisposableStack()
    const identities = new KnownIdentities(
      identityOf('alice'),
      identityOf('admin', { isAdmin: true }),
      identityOf('narrow', { credential: 'token:n1', scopes: [{ pattern: 'acme/a*', actions: ['pull'] }] }),
      identityOf('stranger'),
      identityOf('config-admin'),
      identityOf('ci/app', { memberships: [{ tenant: parseTenantName('acme'), role: 'guest' }] }),
    )
    let opened: OpenedAccess
    let metadata: Metadata

    before(async () => {
      const directory = resources.use(await temporaryDirectory())
      metadata = resources.use(await openSqliteMetadata(join(directory.path, 'varve.db')))
      const acme = parseTenantName('acme')
      await metadata.createTenant({ name: acme })
      await metadata.createTenant({ name: parseTenantName('open'), visibility: 'public' })
      await metadata.setMember(acme, parseAccountName('alice'), 'developer')
      await metadata.setMember(acme, parseAccountName('narrow'), 'owner')
      const policy = new AccessPolicy({ tenants: metadata, anonymous: true, admins: ['config-admin'] })
      const certificates: Logins['certificates'] = async account =>
        account === 'alice' ? identityOf('alice', { credential: 'certificate' }) : undefined
      opened = await open({ policy, logins: { identities, certificates }, metadata, service })
    })
    after(() => resources.disposeAsync())

    /** As if all came through one proxy: what one has shown is nothing to the next. */
    const connection = {}
    const credentials = (
      authorization: string | undefined,
      more: Partial<Credentials> = {},
    ): Credentials => ({
      authorization,
      scheme: 'https',
      host: 'registry.example.com:8443',
      address: '192.0.2.1',
      connection,
      ...more,
    })

    async function authorize(name: string | undefined, ...wanted: readonly Access[]): Promise<Caller> {
      const authorization = await opened.show(name, wanted)
      return opened.controller.authorize(credentials(authorization), wanted)
    }

    async function refusal(attempt: Promise<unknown>): Promise<DomainError> {
      const error = await attempt.then(
        () => assert.fail('was allowed'),
        (reason: unknown) => reason,
      )
      assert.ok(isDomainError(error, 'unauthorized', 'denied'), String(error))
      if (error.code === 'unauthorized') assertChallenge(error)
      else assert.equal(error.details.challenge, undefined)
      return error
    }

    function assertChallenge({ details: { challenge = '' } }: DomainError): void {
      assert.ok(challenge.startsWith(`${scheme} realm="`), challenge)
      assert.doesNotMatch(challenge, /\bBasic\b.*\bBearer\b|\bBearer\b.*\bBasic\b/)
      assert.doesNotMatch(challenge, /""/)
    }

    const wants = (name: string, ...actions: readonly Action[]): Access[] =>
      actions.map(action => ({ kind: 'repository', name: parseRepositoryName(name), action }))

    it('challenges whoever shows nothing and wants nothing in particular', async () => {
      const error = await refusal(opened.controller.authorize(credentials(undefined), []))
      assert.equal(error.code, 'unauthorized')
    })

    it('knows whoever proves who they are, whatever they want', async () => {
      const caller = await authorize('alice')
      assert.deepEqual([caller.account, caller.isAdmin], ['alice', false])
      assert.ok(caller.credential)
      assert.equal((await authorize('stranger')).account, 'stranger')
    })

    it('lets in by the rules, and says by which', async () => {
      const caller = await authorize('alice', ...wants('acme/app', 'pull', 'push'))
      assert.deepEqual([caller.account, caller.rule], ['alice', 'alice is a developer of acme'])
      assert.equal((await authorize('config-admin', ...wants('acme/app', 'delete'))).isAdmin, true)
      assert.equal((await authorize('admin', ...wants('nowhere/app', 'delete'))).isAdmin, true)
      assert.equal((await authorize('ci/app', ...wants('acme/app', 'pull'))).account, 'ci/app')
    })

    it('lets nobody in particular pull what is public, and not more', async () => {
      const caller = await authorize(undefined, ...wants('open/app', 'pull'))
      assert.deepEqual([caller.account, caller.isAdmin], [null, false])
      const error = await refusal(authorize(undefined, ...wants('open/app', 'pull', 'push')))
      assert.equal(error.code, 'unauthorized')
    })

    it('takes an empty user name for nobody in particular', async () => {
      for (const empty of ['Basic Og==', `basic ${Buffer.from(':x').toString('base64')}`]) {
        const error = await refusal(opened.controller.authorize(credentials(empty), []))
        assert.equal(error.code, 'unauthorized')
        const caller = await opened.controller.authorize(credentials(empty), wants('open/app', 'pull'))
        assert.equal(caller.account, null)
      }
    })

    it('takes a user name and a password with any request', async () => {
      const caller = await opened.controller.authorize(credentials(basic('alice')), wants('acme/app', 'push'))
      assert.deepEqual([caller.account, caller.credential], ['alice', 'password'])
      assert.equal(identities.logins.at(-1)?.address, '192.0.2.1')
    })

    it('refuses too little right, and tells in no way what exists', async () => {
      const answers: string[] = []
      for (const tenant of ['acme', 'absent'])
        for (const who of [undefined, 'stranger'])
          for (const actions of [['pull'], ['pull', 'push'], ['delete']] as const) {
            const error = await refusal(authorize(who, ...wants(`${tenant}/app`, ...actions)))
            const { message, code, details } = error
            answers.push(JSON.stringify([code, message, details]).replaceAll(`${tenant}/app`, 'NAME'))
          }
      assert.deepEqual(answers.slice(0, 6), answers.slice(6))
    })

    it('wants all that is wanted, not some of it', async () => {
      await refusal(authorize('alice', ...wants('acme/app', 'pull', 'delete')))
      await refusal(authorize('alice', ...wants('acme/app', 'pull'), ...wants('absent/app', 'pull')))
      await refusal(authorize('narrow', ...wants('acme/app', 'pull', 'push')))
      await refusal(authorize('narrow', ...wants('acme/b', 'pull')))
      assert.equal((await authorize('narrow', ...wants('acme/app', 'pull'))).account, 'narrow')
    })

    it('does not mind a wish that cannot be granted', async () => {
      const wanted = wants('acme/app', 'pull', 'push')
      const wishes = wants('absent/app', 'pull')
      const caller = await opened.controller.authorize(
        credentials(await opened.show('alice', wanted)),
        wanted,
        {
          wishes,
        },
      )
      assert.equal(caller.account, 'alice')
      const { isAllowed } = await caller.decide({
        kind: 'repository',
        name: parseRepositoryName('absent/app'),
        action: 'pull',
      })
      assert.equal(isAllowed, false)
    })

    it('decides about more for whoever was let in', async () => {
      for (const [who, name, isAllowed] of [
        ['alice', 'acme/other', true],
        ['alice', 'absent/app', false],
        ['admin', 'absent/app', true],
        ['stranger', 'open/other', true],
        ['stranger', 'acme/app', false],
        ['narrow', 'acme/abc', true],
        ['narrow', 'acme/b', false],
        [undefined, 'open/other', true],
        [undefined, 'acme/other', false],
      ] as const) {
        const wanted: Access[] = [{ kind: 'catalog' }]
        const caller = await authorize(who, ...wanted)
        const decision = await caller.decide({
          kind: 'repository',
          name: parseRepositoryName(name),
          action: 'pull',
        })
        assert.equal(decision.isAllowed, isAllowed, `${who} ${name}`)
      }
    })

    it('tells who may push, though all that they want is to pull', async () => {
      for (const [who, name, mayPush] of [
        ['alice', 'acme/app', true],
        ['admin', 'acme/app', true],
        ['narrow', 'acme/app', false],
        ['ci/app', 'acme/app', false],
        ['stranger', 'open/app', false],
        [undefined, 'open/app', false],
      ] as const) {
        const caller = await authorize(who, ...wants(name, 'pull'))
        assert.equal(await caller.mayPush(parseRepositoryName(name)), mayPush, `${who} ${name}`)
        assert.equal(
          await caller.mayPush(parseRepositoryName('elsewhere/app')),
          who === 'admin' && scheme === 'Basic',
        )
      }
    })

    it('refuses a wrong password, and keeps neither it nor what was meant as a name in the error', async () => {
      for (const [name, password] of [
        ['alice', 'wrong-secret'],
        ['unknown', 'wrong-secret'],
        ['Wrong Secret!', 'x'],
      ] as const) {
        const attempt = opened.controller.authorize(
          credentials(basic(name, password)),
          wants('open/app', 'pull'),
        )
        const error = await rejectsWith('unauthorized', attempt)
        assertChallenge(error)
        assert.doesNotMatch(JSON.stringify([error.message, error.details, error.stack]), /wrong.secret/i)
      }
    })

    it('passes on that somebody has to wait', async () => {
      const attempt = opened.controller.authorize(credentials(basic('impatient')), [])
      assert.equal((await rejectsWith('throttled', attempt)).details.retryAfterSeconds, 7)
    })

    for (const header of malformed)
      it(`challenges what it cannot understand: ${JSON.stringify(header.slice(0, 40))}`, async () => {
        for (const wanted of [[], wants('open/app', 'pull')])
          assertChallenge(
            await rejectsWith('unauthorized', opened.controller.authorize(credentials(header), wanted)),
          )
      })

    it('knows a client certificate, unless something else is shown', async () => {
      const certificate = parseAccountName('alice')
      const wanted = wants('acme/app', 'pull')
      const caller = await opened.controller.authorize(credentials(undefined, { certificate }), wanted)
      assert.deepEqual([caller.account, caller.credential], ['alice', 'certificate'])
      assert.equal(
        (await opened.controller.authorize(credentials(undefined, { certificate }), [])).account,
        'alice',
      )
      const other = await opened.controller.authorize(credentials(basic('admin'), { certificate }), wanted)
      assert.equal(other.account, 'admin')
      const unknown = parseAccountName('unknown')
      await refusal(opened.controller.authorize(credentials(undefined, { certificate: unknown }), wanted))
    })

    it('can be given up', async () => {
      const reason = new Error('given up')
      const options = { signal: AbortSignal.abort(reason) }
      const attempt = opened.controller.authorize(
        credentials(basic('alice')),
        wants('acme/app', 'pull'),
        options,
      )
      await assert.rejects(attempt, reason)
    })
  })
}
