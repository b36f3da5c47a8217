import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { hashSync } from 'bcryptjs'
import { DomainError } from '../../../../src/errors.ts'
import { makeAccountToken } from '../../../../src/registry/auth/identities/account-token.ts'
import { bcryptHere } from '../../../../src/registry/auth/identities/bcrypt-here.ts'
import { ApiTokens } from '../../../../src/registry/auth/identities/api-tokens.ts'
import { Identities } from '../../../../src/registry/auth/identities/identities.ts'
import { FederatedAccounts, KnownAccounts } from '../../../../src/registry/auth/identities/known-accounts.ts'
import { LocalAccounts } from '../../../../src/registry/auth/identities/local-accounts.ts'
import { LoginDelay } from '../../../../src/registry/auth/identities/login-delay.ts'
import { OpenIdProvider } from '../../../../src/registry/auth/identities/openid-provider.ts'
import { OpenIdTokens } from '../../../../src/registry/auth/identities/openid-tokens.ts'
import { bcryptCostOf, type PasswordHasher } from '../../../../src/registry/auth/identities/password.ts'
import { PasswordAccounts } from '../../../../src/registry/auth/identities/password-accounts.ts'
import { RightLogins } from '../../../../src/registry/auth/identities/right-logins.ts'
import { parseAccountName, parseTenantName } from '../../../../src/storage/accounts/names.ts'
import type { CredentialUse } from '../../../../src/storage/metadata/account-records.ts'
import type { Metadata } from '../../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../../src/storage/metadata/sqlite.ts'
import { type KeptLog, keepLog } from '../../../support/log-lines.ts'
import { OpenIdIssuer } from '../../../support/openid-issuer.ts'
import { rejectsWith } from '../../../support/rejects.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const [alice, bob, robot] = [parseAccountName('alice'), parseAccountName('bob'), parseAccountName('acme+ci')]
const password = 'correct horse'
const [here, elsewhere] = ['192.0.2.1', '198.51.100.1']

describe('Identities', () => {
  let stack: AsyncDisposableStack
  let metadata: Metadata
  let kept: KeptLog
  let clock: { now: number }
  let issuer: OpenIdIssuer
  let accounts: KnownAccounts
  let passwords: PasswordAccounts
  let identities: Identities
  let uses: CredentialUse[]
  /** Passwords that bcrypt was done for. */
  let compared: string[]
  let beforeCompare: () => Promise<void>

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const directory = stack.use(await temporaryDirectory())
    metadata = stack.use(await openSqliteMetadata(join(directory.path, 'metadata.sqlite')))
    issuer = stack.use(await OpenIdIssuer.start())
    kept = keepLog()
    clock = { now: 1_000 }
    uses = []
    compared = []
    beforeCompare = async () => {}
    const hasher: PasswordHasher = {
      hash: async (...work) => await bcryptHere.hash(...work),
      compare: async (text, ...rest) => {
        compared.push(text)
        await beforeCompare()
        return await bcryptHere.compare(text, ...rest)
      },
    }
    const now = (): number => clock.now
    const noted = { note: (use: CredentialUse) => void uses.push(use) }
    const admins = ['bob', 'ci/job-9']
    accounts = new KnownAccounts([new LocalAccounts(metadata), new FederatedAccounts(['ci'])], admins)
    const options = {
      name: 'ci',
      issuer: issuer.url,
      audiences: ['varve'],
      accountClaim: 'sub',
      require: {},
      roles: [],
    }
    passwords = stack.use(
      new PasswordAccounts({ accounts, hasher, records: metadata, log: kept.log, cost: 5 }),
    )
    identities = new Identities({
      accounts,
      tokens: new ApiTokens({ records: metadata, accounts, uses: noted }),
      openId: new OpenIdTokens([stack.use(new OpenIdProvider(options, { log: kept.log, admins }))]),
      passwords,
      rightLogins: new RightLogins({ now }),
      delay: new LoginDelay({ maxFailures: 3, maxDelayMs: 60_000, now }),
      uses: noted,
    })
    for (const name of [alice, bob])
      await metadata.createAccount({ name, kind: 'user', passwordHash: hashSync(password, 5) })
  })
  afterEach(async () => await stack.disposeAsync())

  const login = (text: string, username = 'alice', address = here) =>
    identities.verify({ username, password: text, address })
  const giveToken = async (account = alice, more: object = {}): Promise<{ id: string; text: string }> => {
    const { id, text, secretDigest } = makeAccountToken('token')
    await metadata.addCredential({ id, kind: 'token', account, secretDigest, ...more })
    return { id, text }
  }

  it('know a password, a token and the token of a provider by their form, and try each at one place', async () => {
    assert.equal((await login(password))?.credential, 'password')
    const { id, text } = await giveToken()
    assert.equal((await login(text))?.credential, `token:${id}`)
    assert.equal((await login(await issuer.sign(), 'whoever'))?.account, 'ci/job-1')
    assert.equal(await login('vrv_correct horse'), undefined)
    assert.deepEqual(compared, [password])
  })

  it('do bcrypt once a minute for a client that sends its password with each request', async () => {
    for (let count = 0; count < 20; count += 1) assert.ok(await login(password))
    assert.equal(compared.length, 1)
    clock.now += 60_001
    assert.ok(await login(password))
    assert.equal(compared.length, 2)
    assert.equal(uses.length, 21)
  })

  it('say again who had the right password, but no longer than it is remembered', async () => {
    const identity = await login(password)
    assert.ok(identity)
    assert.equal(identities.repeat(identity), true)
    assert.equal(uses.length, 2)
    clock.now += 60_001
    assert.equal(identities.repeat(identity), false)
    assert.equal(uses.length, 2)
    const certified = await identities.identityOfCertificate(alice)
    assert.equal(certified && identities.repeat(certified), false)
    const federated = await login(await issuer.sign(), 'whoever')
    assert.equal(federated && identities.repeat(federated), false)
  })

  it('do it once for the same login many times at once, be it right or wrong', async () => {
    const right = await Promise.all(Array.from({ length: 10 }, () => login(password)))
    assert.ok(right.every(identity => identity?.account === alice))
    const wrong = await Promise.all(Array.from({ length: 10 }, () => login('wrong', 'bob')))
    assert.ok(wrong.every(identity => identity === undefined))
    assert.deepEqual(compared, [password, 'wrong'])
  })

  it('take a login for right only with the same name and the same password', async () => {
    assert.ok(await login(password))
    for (const [username, text] of [
      ['alice', `${password} `],
      ['alice', ''],
      ['alicec', password.slice(1)],
      ['mallory', password],
    ] as const)
      assert.equal(await login(text, username), undefined)
  })

  it('take a password that was changed, or an account that was disabled, no longer from then on', async () => {
    assert.ok(await login(password))
    await metadata.updateAccount(alice, { passwordHash: hashSync('battery staple', 5) })
    assert.equal(await login(password), undefined)
    assert.ok(await login('battery staple'))
    await metadata.updateAccount(alice, { isDisabled: true })
    assert.equal(await login('battery staple'), undefined)
    await metadata.updateAccount(alice, { isDisabled: false, isAdmin: true })
    assert.equal((await login('battery staple'))?.isAdmin, true)
    await metadata.updateAccount(alice, { isAdmin: false })
    assert.equal((await login('battery staple'))?.isAdmin, false)
  })

  it('let nobody in by what is remembered while the accounts cannot be asked', async t => {
    assert.ok(await login(password))
    t.mock.method(metadata, 'findAccount', async () => {
      throw new DomainError('unavailable', 'The database is away.', { resource: 'database' })
    })
    await rejectsWith('unavailable', login(password))
  })

  it('do the same work for an account that is not there, that has no password, that is disabled or expired', async () => {
    await metadata.createAccount({ name: parseAccountName('keyless'), kind: 'user' })
    const passwordHash = hashSync(password, 5)
    await metadata.createAccount({
      name: parseAccountName('disabled'),
      kind: 'user',
      passwordHash,
      isDisabled: true,
    })
    const expiresAt = new Date(Date.now() - 1)
    await metadata.createAccount({ name: parseAccountName('expired'), kind: 'user', passwordHash, expiresAt })
    for (const username of ['nobody', 'keyless', 'disabled', 'expired'])
      assert.equal(await login(password, username), undefined)
    assert.equal(compared.length, 4)
  })

  it('hold up an account at an address after wrong passwords, and nobody else', async () => {
    for (let count = 0; count < 3; count += 1) assert.equal(await login(`wrong ${count}`), undefined)
    const error = await rejectsWith('throttled', login(password))
    assert.equal(error.details.retryAfterSeconds, 1)
    assert.equal(compared.length, 3)
    assert.ok(await login(password, 'bob'))
    assert.ok(await login(password, 'alice', elsewhere))
    // Known to be right by now, from wherever it comes.
    assert.ok(await login(password))
  })

  it('hold up nobody who has a token', async () => {
    const { text } = await giveToken()
    for (let count = 0; count < 3; count += 1) await login(`wrong ${count}`)
    await rejectsWith('throttled', login(password))
    assert.ok(await login(text))
    const wrong = makeAccountToken('token').text
    for (let count = 0; count < 50; count += 1) assert.equal(await login(wrong), undefined)
    assert.ok(await login(text))
  })

  it('forgive by a right password', async () => {
    for (let round = 0; round < 3; round += 1) {
      for (let count = 0; count < 2; count += 1) await login(`wrong ${round} ${count}`)
      clock.now += 60_001
      assert.ok(await login(password))
    }
  })

  it('do not hold against anybody that it could not be known', async () => {
    beforeCompare = async () => {
      throw new Error('no memory')
    }
    for (let count = 0; count < 10; count += 1) await assert.rejects(login(password), /no memory/)
    beforeCompare = async () => {}
    assert.ok(await login(password))
  })

  it('let who has gone go; who comes again has what was found', async () => {
    const reached = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    beforeCompare = async () => {
      reached.resolve()
      await opened.promise
    }
    const leaving = new AbortController()
    const gone = identities.verify({ username: 'alice', password, address: here }, { signal: leaving.signal })
    await reached.promise
    leaving.abort()
    await assert.rejects(gone, { name: 'AbortError' })
    const again = login(password)
    opened.resolve()
    assert.ok(await again)
    assert.equal(compared.length, 1)
  })

  it('look a token up each time: one that is revoked, or whose account has ended, is good for nothing', async () => {
    const { id, text } = await giveToken()
    assert.ok(await login(text))
    await metadata.revokeCredential(alice, id)
    assert.equal(await login(text), undefined)
    const other = await giveToken()
    assert.ok(await login(other.text))
    await metadata.updateAccount(alice, { isDisabled: true })
    assert.equal(await login(other.text), undefined)
    await metadata.updateAccount(alice, { isDisabled: false, expiresAt: new Date(Date.now() - 1) })
    assert.equal(await login(other.text), undefined)
  })

  it('know tokens of accounts of every origin, with what their provider said', async () => {
    const tenant = parseTenantName('acme')
    await metadata.createTenant({ name: tenant })
    await metadata.createAccount({ name: robot, kind: 'robot', tenant })
    const scopes = [{ pattern: 'acme/*', actions: ['pull'] as const }]
    const ofRobot = await giveToken(robot, { scopes })
    assert.deepEqual((await login(ofRobot.text, 'acme+ci'))?.scopes, scopes)
    const name = parseAccountName('ci/system:job')
    const memberships = [{ tenant, role: 'developer' as const }]
    const federated = await giveToken(name, { memberships })
    const identity = await login(federated.text, 'ci/system:job')
    assert.deepEqual([identity?.account, identity?.memberships], [name, memberships])
    // RFC 7617: a name in Basic credentials ends at its first colon.
    assert.ok(await login(federated.text, 'ci/system'))
    assert.equal(await login(federated.text, 'ci/sys'), undefined)
    const foreign = await giveToken(parseAccountName('other/alice'))
    assert.equal(await login(foreign.text, 'other/alice'), undefined)
  })

  it('know who is an admin by the database and by the configuration', async () => {
    await metadata.updateAccount(alice, { isAdmin: true })
    assert.equal((await login(password))?.isAdmin, true)
    assert.equal((await login(password, 'bob'))?.isAdmin, true)
    assert.equal((await login((await giveToken(bob)).text, 'bob'))?.isAdmin, true)
    assert.equal((await login(await issuer.sign({ sub: 'job-9' }), 'x'))?.isAdmin, true)
    assert.equal((await login(await issuer.sign({ sub: 'job-8' }), 'x'))?.isAdmin, false)
  })

  it('take tokens alone where no name comes with them, and no passwords', async () => {
    const { text } = await giveToken()
    assert.equal((await identities.verifyBearer(text))?.account, alice)
    assert.equal((await identities.verifyBearer(await issuer.sign()))?.account, 'ci/job-1')
    for (const wrong of [password, '', makeAccountToken('token').text, makeAccountToken('refresh').text])
      assert.equal(await identities.verifyBearer(wrong), undefined)
  })

  it('renew by the stamp of a password as long as it is the same one', async () => {
    const stamp = (await login(password))?.stamp ?? ''
    assert.equal((await identities.renew(alice, stamp))?.account, alice)
    assert.equal(await identities.renew(bob, stamp), undefined)
    await metadata.updateAccount(alice, { isDisabled: true })
    assert.equal(await identities.renew(alice, stamp), undefined)
    await metadata.updateAccount(alice, { isDisabled: false })
    assert.ok(await identities.renew(alice, stamp))
    await metadata.updateAccount(alice, { passwordHash: hashSync(password, 5) })
    assert.equal(await identities.renew(alice, stamp), undefined)
  })

  it('renew by the stamp of a token, with its scopes, until it ends', async () => {
    const scopes = [{ pattern: 'acme/*', actions: ['pull'] as const }]
    const { id, text } = await giveToken(alice, { scopes })
    const identity = await login(text)
    assert.deepEqual(await identities.renew(alice, identity?.stamp ?? ''), identity)
    assert.equal(await identities.renew(bob, identity?.stamp ?? ''), undefined)
    await metadata.revokeCredential(alice, id)
    assert.equal(await identities.renew(alice, identity?.stamp ?? ''), undefined)
  })

  it('hash a password with more work once it was right, and refresh tokens stay good', async () => {
    const cheap = hashSync(password, 4)
    await metadata.updateAccount(alice, { passwordHash: cheap })
    assert.equal(await login('wrong'), undefined)
    assert.equal((await metadata.findAccount(alice))?.passwordHash, cheap)
    const { id, secretDigest } = makeAccountToken('refresh')
    await metadata.addCredential({ id, kind: 'refresh', account: alice, secretDigest })
    const stamp = (await login(password))?.stamp ?? ''
    while ((await metadata.findAccount(alice))?.passwordHash === cheap) await sleep(5)
    assert.equal(bcryptCostOf((await metadata.findAccount(alice))?.passwordHash ?? ''), 5)
    clock.now += 60_001
    assert.equal((await login(password))?.stamp, stamp)
    assert.ok(await identities.renew(alice, stamp))
    assert.equal((await metadata.findCredential(id))?.revokedAt, null)
  })

  it('let a certificate stand for a user or a robot that is good, for a workload, and for nobody of a provider', async () => {
    assert.deepEqual(await identities.identityOfCertificate(alice), {
      account: alice,
      isAdmin: false,
      credential: 'certificate',
      scopes: null,
      memberships: [],
      stamp: null,
    })
    assert.equal((await identities.identityOfCertificate(bob))?.isAdmin, true)
    const workload = await identities.identityOfCertificate(parseAccountName('example.org/ns/prod/ci'))
    assert.deepEqual(
      [workload?.account, workload?.isAdmin, workload?.credential],
      ['example.org/ns/prod/ci', false, 'certificate'],
    )
    for (const name of ['nobody', 'acme+ci', 'ci/job-1', 'ci/job-9'])
      assert.equal(await identities.identityOfCertificate(parseAccountName(name)), undefined, name)
    await metadata.updateAccount(alice, { isDisabled: true })
    assert.equal(await identities.identityOfCertificate(alice), undefined)
  })

  it('note uses of right logins only', async () => {
    const { id, text } = await giveToken()
    await login(password)
    await login('wrong')
    await login(text)
    await login(makeAccountToken('token').text)
    assert.deepEqual(
      uses.map(({ account, credential }) => [account, credential]),
      [
        [alice, undefined],
        [alice, id],
      ],
    )
  })

  it('say and log nothing that somebody could log in with', async () => {
    const { text } = await giveToken()
    const jwt = await issuer.sign({ aud: 'other' })
    const errors: unknown[] = []
    const secrets = [password, 'battery staple', text, jwt, makeAccountToken('token').text]
    for (const secret of secrets)
      for (const username of ['alice', 'nobody', secret])
        for (let count = 0; count < 5; count += 1)
          await login(`${secret}${secret === jwt || secret === text ? '' : count}`, username).catch(
            (error: unknown) => void errors.push(error),
          )
    const told = kept.text() + errors.map(error => `${String(error)}${JSON.stringify(error)}`).join('')
    assert.ok(errors.length > 0)
    for (const secret of secrets) assert.ok(!told.includes(secret))
  })
})
