import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import bcrypt from 'bcryptjs'
import { createLogger } from '../../../../src/log.ts'
import { AccessPolicy } from '../../../../src/registry/auth/access-policy.ts'
import { makeAccountToken } from '../../../../src/registry/auth/identities/account-token.ts'
import { openIdentities } from '../../../../src/registry/auth/identities/open-identities.ts'
import type { Identity } from '../../../../src/registry/auth/identity.ts'
import type { RefreshTokens } from '../../../../src/registry/auth/tokens/refresh-tokens.ts'
import { parseAccountName } from '../../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../../src/storage/metadata/sqlite.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'
import { type TokenParts, tokenParts } from '../../../support/token-parts.ts'

const alice = parseAccountName('alice')
const hash = (password: string) => bcrypt.hash(password, 4)

interface Process extends AsyncDisposable {
  readonly metadata: Metadata
  readonly parts: TokenParts
  readonly refreshTokens: RefreshTokens
  login(password: string): Promise<Identity | undefined>
}

/** What one process has, over the database in this directory. */
async function start(directory: string): Promise<Process> {
  await using stack = new AsyncDisposableStack()
  const metadata = stack.use(await openSqliteMetadata(join(directory, 'varve.db')))
  const opened = stack.use(
    await openIdentities({ records: metadata, log: createLogger({ level: 'silent' }), passwordCost: 4 }),
  )
  const { identities, uses } = opened
  const policy = new AccessPolicy({ tenants: metadata, anonymous: true, admins: [] })
  const parts = tokenParts({ metadata, policy, logins: { identities }, uses })
  const owned = stack.move()
  return {
    metadata,
    parts,
    refreshTokens: parts.tokens.refreshTokens,
    login: password => identities.verify({ username: 'alice', password, address: '192.0.2.1' }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

describe('Refresh tokens', () => {
  let directory: TemporaryDirectory
  let first: Process

  beforeEach(async () => {
    directory = await temporaryDirectory()
    first = await start(directory.path)
    await first.metadata.createAccount({
      name: alice,
      kind: 'user',
      passwordHash: await hash('password one'),
    })
  })
  afterEach(async () => {
    await first[Symbol.asyncDispose]()
    await directory.remove()
  })

  async function issue(password = 'password one'): Promise<string> {
    const identity = await first.login(password)
    assert.ok(identity)
    const text = await first.refreshTokens.issue(identity, 'of docker at 192.0.2.1')
    assert.ok(text)
    return text
  }

  const isGood = async (text: string, on: Process = first) =>
    (await on.refreshTokens.redeem(text)).identity !== undefined

  /** An API token of alice. */
  async function apiToken(scopes: Parameters<Metadata['addCredential']>[0]['scopes'] = null) {
    const { id, text, secretDigest } = makeAccountToken('token')
    await first.metadata.addCredential({ id, kind: 'token', account: alice, secretDigest, scopes })
    return { id, text }
  }

  it('stand for the account as often as they are shown, and say which they are', async () => {
    const text = await issue()
    const id = text.split('_')[1]
    for (let turn = 0; turn < 3; turn += 1) {
      const { identity, account } = await first.refreshTokens.redeem(text)
      assert.deepEqual([identity?.account, account, identity?.credential], [alice, alice, `refresh:${id}`])
    }
  })

  it('are kept as a digest only', async () => {
    const text = await issue()
    const [, id = '', secret = ''] = text.split('_')
    const stored = await first.metadata.findCredential(id)
    assert.equal(stored?.kind, 'refresh')
    assert.ok(!JSON.stringify(stored).includes(secret))
    assert.equal(stored?.description, 'of docker at 192.0.2.1')
  })

  it('work after a restart, in another process, and after a rotation of the keys', async () => {
    const text = await issue()
    await first.parts.keys.rotate({ forgetOld: true })
    await first[Symbol.asyncDispose]()
    first = await start(directory.path)
    assert.ok(await isGood(text))
    await using other = await start(directory.path)
    assert.ok(await isGood(text, other))
    const { identity = null } = await other.refreshTokens.redeem(text)
    const { text: token } = await other.parts.tokens.grant(identity, [])
    assert.equal((await first.parts.verifier.verify(token))?.account, alice)
  })

  it('end with the password', async () => {
    const text = await issue()
    await first.metadata.updateAccount(alice, { passwordHash: await hash('password two') })
    assert.ok(!(await isGood(text)))
    assert.ok(await isGood(await issue('password two')))
    assert.ok(!(await isGood(text)))
  })

  it('end with the account, and while it is disabled or when it has expired', async () => {
    const text = await issue()
    await first.metadata.updateAccount(alice, { isDisabled: true })
    assert.ok(!(await isGood(text)))
    await first.metadata.updateAccount(alice, { isDisabled: false })
    assert.ok(await isGood(text))
    await first.metadata.updateAccount(alice, { expiresAt: new Date(Date.now() - 1000) })
    assert.ok(!(await isGood(text)))
    await first.metadata.updateAccount(alice, { expiresAt: null })
    await first.metadata.deleteAccount(alice)
    assert.ok(!(await isGood(text)))
    await first.metadata.createAccount({
      name: alice,
      kind: 'user',
      passwordHash: await hash('password one'),
    })
    assert.ok(!(await isGood(text)), 'a later account of the same name is another one')
  })

  it('end with the API token that they were got by, and keep its scopes', async () => {
    const scopes = [{ pattern: 'acme/a*', actions: ['pull'] as const }]
    const { id, text: token } = await apiToken(scopes)
    const text = await issue(token)
    const { identity } = await first.refreshTokens.redeem(text)
    assert.deepEqual(identity?.scopes, scopes)
    await first.metadata.revokeCredential(alice, id)
    assert.ok(!(await isGood(text)))
  })

  it('of an API token do not end with the password', async () => {
    const { text: token } = await apiToken()
    const text = await issue(token)
    await first.metadata.updateAccount(alice, { isAdmin: true })
    const { identity } = await first.refreshTokens.redeem(text)
    assert.equal(identity?.isAdmin, true, 'the account as it is now')
  })

  it('end when they are revoked', async () => {
    const text = await issue()
    await first.metadata.revokeCredential(alice, text.split('_')[1] ?? '')
    const { identity, account } = await first.refreshTokens.redeem(text)
    assert.deepEqual([identity, account], [undefined, alice])
  })

  it('are none that were made up, or of another kind', async () => {
    const text = await issue()
    const { text: token } = await apiToken()
    const other = makeAccountToken('refresh').text
    const [prefix, id] = text.split('_')
    const [, , secret] = other.split('_')
    for (const wrong of ['', 'x', token, other, `${prefix}_${id}_${secret}`, text.slice(0, -1), `${text}x`])
      assert.deepEqual(await first.refreshTokens.redeem(wrong), { identity: undefined, account: undefined })
    assert.equal(await first.login(text), undefined, 'no password either')
  })

  it('are not given for what has no stamp', async () => {
    const identity = await first.login('password one')
    assert.ok(identity)
    assert.equal(await first.refreshTokens.issue({ ...identity, stamp: null }, ''), undefined)
  })

  it('are at most a thousand of one account: those that were used last stay', async () => {
    const kept = await issue()
    const identity = await first.login('password one')
    assert.ok(identity)
    const unused = await first.refreshTokens.issue(identity, 'unused')
    const later = new Date(Date.now() + 3_600_000)
    await first.metadata.noteUses([{ account: alice, credential: kept.split('_')[1], at: later }])
    const { secretDigest, ...add } = {
      ...makeAccountToken('refresh'),
      kind: 'refresh' as const,
      account: alice,
    }
    const stamp = identity.stamp
    for (let count = 0; count < 10; count += 1) {
      const { id } = makeAccountToken('refresh')
      await first.metadata.addCredential(
        { kind: add.kind, account: alice, id, secretDigest, stamp },
        { keep: 5 },
      )
    }
    assert.equal((await first.metadata.listCredentials(alice, 'refresh')).length, 5)
    assert.ok(await isGood(kept))
    assert.ok(unused !== undefined && !(await isGood(unused)))
  })
})
