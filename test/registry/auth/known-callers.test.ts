/** Who was let in is known again as long as nothing has changed, and not for a moment longer, whoever has changed it. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { hashSync } from 'bcryptjs'
import type { Access } from '../../../src/registry/auth/access.ts'
import { AccessPolicy } from '../../../src/registry/auth/access-policy.ts'
import { BasicAccess } from '../../../src/registry/auth/basic-access.ts'
import { makeAccountToken } from '../../../src/registry/auth/identities/account-token.ts'
import {
  type OpenedIdentities,
  openIdentities,
} from '../../../src/registry/auth/identities/open-identities.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { keepLog } from '../../support/log-lines.ts'
import { basic } from '../../support/known-identities.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const [acme, alice, fred] = [parseTenantName('acme'), parseAccountName('alice'), parseAccountName('fred')]
const app = parseRepositoryName('acme/app')
const pull: Access = { kind: 'repository', name: app, action: 'pull' }
const push: Access = { kind: 'repository', name: app, action: 'push' }
const password = 'correct horse'

describe('Callers of BasicAccess', () => {
  let stack: AsyncDisposableStack
  let htpasswdFile: string
  let ours: Metadata
  let others: Metadata
  let opened: OpenedIdentities
  /** What the database was asked for. */
  let asked: string[]
  let access: BasicAccess

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const { path } = stack.use(await temporaryDirectory())
    htpasswdFile = join(path, 'htpasswd')
    await writeFile(htpasswdFile, `fred:${hashSync(password, 5)}\n`)
    ours = stack.use(await openSqliteMetadata(join(path, 'varve.db')))
    others = stack.use(await openSqliteMetadata(join(path, 'varve.db')))
    await ours.createTenant({ name: acme })
    await ours.createAccount({ name: alice, kind: 'user', passwordHash: hashSync(password, 5) })
    for (const name of [alice, fred]) await ours.setMember(acme, name, 'developer')
    asked = []
    const noting = (what: string): Metadata => {
      asked.push(what)
      return ours
    }
    const records: Metadata = {
      ...ours,
      findAccount: (...given) => noting('account').findAccount(...given),
      findCredential: (...given) => noting('credential').findCredential(...given),
      accessFacts: (...given) => noting('facts').accessFacts(...given),
    }
    opened = stack.use(await openIdentities({ records, log: keepLog().log, htpasswdFile, passwordCost: 5 }))
    access = new BasicAccess({
      identities: opened.identities,
      policy: new AccessPolicy({ tenants: records, anonymous: true, admins: [] }),
      service: 'varve',
      changeMark: () => noting('mark').changeMark(),
    })
  })
  afterEach(async () => {
    mock.timers.reset()
    await stack.disposeAsync()
  })

  const origin = { scheme: 'https', host: 'localhost', address: '192.0.2.1', connection: {} } as const
  const ask = async (wanted: Access[] = [pull], authorization = basic('alice', password)) => {
    asked = []
    const request = { ...origin, authorization }
    return await access.authorize(request, wanted)
  }
  const giveToken = async (more: object = {}, account = alice) => {
    const { id, text, secretDigest } = makeAccountToken('token')
    await ours.addCredential({ id, kind: 'token', account, secretDigest, ...more })
    return { id, authorization: basic(account, text) }
  }

  it('are known again without a question to the database but the one for its mark', async () => {
    const token = await giveToken()
    for (const authorization of [basic('alice', password), token.authorization])
      for (const wanted of [[pull], [pull, push], [], [{ kind: 'catalog' } as const]]) {
        const first = await ask(wanted, authorization)
        assert.ok(asked.length > 1)
        const again = await ask(wanted, authorization)
        assert.deepEqual(asked, ['mark'])
        assert.deepEqual([again.account, again.credential, again.rule], [alice, first.credential, first.rule])
      }
  })

  for (const who of ['this process', 'another one'] as const) {
    const changing = () => (who === 'this process' ? ours : others)
    const known = async () => {
      await ask()
      await ask()
      assert.deepEqual(asked, ['mark'])
    }

    it(`are not known for a moment longer when ${who} ends their account`, async () => {
      await known()
      await changing().updateAccount(alice, { isDisabled: true })
      await rejectsWith('unauthorized', ask())
      await changing().updateAccount(alice, { isDisabled: false })
      await known()
      await changing().updateAccount(alice, { expiresAt: new Date(Date.now() - 1) })
      await rejectsWith('unauthorized', ask())
      await changing().updateAccount(alice, { expiresAt: null })
      await known()
      await changing().updateAccount(alice, { passwordHash: hashSync('battery staple', 5) })
      await rejectsWith('unauthorized', ask())
      assert.ok(await ask([pull], basic('alice', 'battery staple')))
      await changing().deleteAccount(alice)
      await rejectsWith('unauthorized', ask([pull], basic('alice', 'battery staple')))
    })

    it(`may do at once what ${who} lets them, and nothing more`, async () => {
      await known()
      await changing().removeMember(acme, alice)
      await rejectsWith('denied', ask())
      const { id } = await changing().addGrant({
        tenant: acme,
        subject: alice,
        pattern: 'acme/*',
        actions: ['pull'],
      })
      await known()
      await changing().removeGrant(acme, id)
      await rejectsWith('denied', ask())
      await changing().setRepositoryVisibility(app, 'public')
      await known()
      await changing().setRepositoryVisibility(app, null)
      await rejectsWith('denied', ask())
      await changing().updateTenant(acme, { visibility: 'public' })
      await known()
      await changing().deleteTenant(acme)
      await rejectsWith('denied', ask())
      await changing().updateAccount(alice, { isAdmin: true })
      assert.equal((await ask()).isAdmin, true)
      await changing().updateAccount(alice, { isAdmin: false })
      await rejectsWith('denied', ask())
    })

    it(`are refused from the moment on when ${who} revokes their token`, async () => {
      const { id, authorization } = await giveToken()
      await ask([pull], authorization)
      await ask([pull], authorization)
      assert.deepEqual(asked, ['mark'])
      await changing().revokeCredential(alice, id)
      await rejectsWith('unauthorized', ask([pull], authorization))
    })
  }

  it('are not known any more when their account or their token has expired', async () => {
    const soon = new Date(Date.now() + 60_000)
    const token = await giveToken({ expiresAt: soon })
    await ask([pull], token.authorization)
    await ours.updateAccount(alice, { expiresAt: new Date(soon.getTime() + 60_000) })
    const later = await giveToken()
    const expiring = [
      [token.authorization, soon.getTime()],
      [basic('alice', password), soon.getTime() + 60_000],
      [later.authorization, soon.getTime() + 60_000],
    ] as const
    for (const [authorization] of expiring) await ask([pull], authorization)
    mock.timers.enable({ apis: ['Date'], now: Date.now() })
    for (const [authorization, at] of expiring) {
      mock.timers.setTime(at - 1)
      await ask([pull], authorization)
      assert.deepEqual(asked, ['mark'])
      mock.timers.setTime(at)
      await ask([pull], authorization).catch(() => {})
      assert.ok(asked.length > 1)
    }
  })

  it('are known by a password for a minute that has passed, however the clock is set', async t => {
    const elapsed = performance.now.bind(performance)
    let laterMs = 0
    t.mock.method(performance, 'now', () => elapsed() + laterMs)
    const wasHashed = t.mock.method(opened.hasher, 'compare')
    for (const changeMs of [-24 * 3_600_000, -61_000, 61_000, 24 * 3_600_000]) {
      await ask()
      const before = wasHashed.mock.callCount()
      mock.timers.enable({ apis: ['Date'], now: Date.now() + changeMs })
      await ask()
      assert.equal(wasHashed.mock.callCount(), before)
      laterMs += 60_001
      await ask()
      assert.equal(wasHashed.mock.callCount(), before + 1)
      mock.timers.reset()
    }
  })

  it('have expired whenever the clock of that moment says so, however it was set before', async () => {
    const at = Date.now() + 60_000
    const { authorization } = await giveToken({ expiresAt: new Date(at) })
    await ours.updateAccount(alice, { expiresAt: new Date(at) })
    const byPassword = basic('alice', password)
    mock.timers.enable({ apis: ['Date'], now: at - 1 })
    // They ask the clock that there is when they are opened.
    const { identities } = stack.use(
      await openIdentities({ records: ours, log: keepLog().log, passwordCost: 5 }),
    )
    const policy = new AccessPolicy({ tenants: ours, anonymous: true, admins: [] })
    access = new BasicAccess({ identities, policy, service: 'varve', changeMark: ours.changeMark })
    for (const shown of [authorization, byPassword])
      for (const round of [1, 2]) {
        mock.timers.setTime(at - round)
        await ask([pull], shown)
        mock.timers.setTime(at - 24 * 3_600_000)
        await ask([pull], shown)
        for (const afterMs of [0, 24 * 3_600_000]) {
          mock.timers.setTime(at + afterMs)
          await rejectsWith('unauthorized', ask([pull], shown))
        }
      }
  })

  it('are known for what they wanted, and for nothing else', async () => {
    await ours.setMember(acme, alice, 'guest')
    await ask([pull])
    await rejectsWith('denied', ask([pull, push]))
    await rejectsWith('denied', ask([push]))
    await rejectsWith('denied', ask([{ ...pull, name: parseRepositoryName('other/app') }]))
    assert.ok(await ask([pull]))
  })

  it('are known by all that they show', async () => {
    await ask()
    for (const wrong of ['correct horse ', 'correct hors', 'Correct horse'])
      await rejectsWith('unauthorized', ask([pull], basic('alice', wrong)))
    await rejectsWith('unauthorized', ask([pull], basic('bob', password)))
    assert.ok(await ask())
  })

  it('are looked at anew each time when a file tells who they are', async () => {
    const fredPulls = () => ask([pull], basic('fred', password))
    const token = await giveToken({}, fred)
    for (let count = 0; count < 2; count += 1) {
      await fredPulls()
      assert.ok(asked.includes('account'))
      await ask([pull], token.authorization)
      assert.ok(asked.includes('account'))
    }
    await writeFile(htpasswdFile, '')
    await rejectsWith('unauthorized', fredPulls())
    await rejectsWith('unauthorized', ask([pull], token.authorization))
  })

  it('count as a use of their credential each time', async t => {
    const { id, authorization } = await giveToken()
    const note = t.mock.method(opened.uses, 'note')
    for (let count = 0; count < 3; count += 1) {
      await ask()
      await ask([pull], authorization)
    }
    assert.deepEqual(
      note.mock.calls.map(({ arguments: [use] }) => [use?.account, use?.credential]),
      [1, 2, 3].flatMap(() => [
        [alice, undefined],
        [alice, id],
      ]),
    )
  })

  it('are not kept when something changes while they are looked at', async t => {
    const { identities } = opened
    const real = identities.verify.bind(identities)
    const verify = t.mock.method(identities, 'verify', async (...login: Parameters<typeof real>) => {
      const identity = await real(...login)
      await others.updateAccount(alice, { isDisabled: true })
      return identity
    })
    await ask()
    verify.mock.restore()
    await rejectsWith('unauthorized', ask())
  })

  it('are looked at anew each time where the database has no mark', async () => {
    const { identities } = opened
    const policy = new AccessPolicy({ tenants: ours, anonymous: true, admins: [] })
    access = new BasicAccess({ identities, policy, service: 'varve', changeMark: () => undefined })
    for (let count = 0; count < 2; count += 1) {
      await ask()
      assert.ok(asked.includes('account'))
    }
  })

  it('may be anybody who shows nothing and has no certificate any more', async () => {
    const { identities } = opened
    const certificates = async () => await identities.identityOfCertificate(alice)
    const policy = new AccessPolicy({ tenants: ours, anonymous: true, admins: [] })
    const changeMark = ours.changeMark
    access = new BasicAccess({ identities, certificates, policy, service: 'varve', changeMark })
    const nobody = { authorization: 'Basic Og==', scheme: 'https', host: '', address: '192.0.2.1' } as const
    assert.equal((await access.authorize({ ...nobody, certificate: alice }, [pull])).account, alice)
    await rejectsWith('unauthorized', access.authorize(nobody, [pull]))
  })

  it('are not asked about for whoever has gone', async () => {
    await ask()
    const request = {
      authorization: basic('alice', password),
      scheme: 'https',
      host: '',
      address: '',
    } as const
    await assert.rejects(access.authorize(request, [pull], { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    })
  })
})
