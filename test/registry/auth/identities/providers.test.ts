/** Everything that can tell who somebody is, by one contract, on a real database. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { makeAccountToken } from '../../../../src/registry/auth/identities/account-token.ts'
import { ApiTokens } from '../../../../src/registry/auth/identities/api-tokens.ts'
import { BcryptThreads } from '../../../../src/registry/auth/identities/bcrypt-threads.ts'
import { HtpasswdFile } from '../../../../src/registry/auth/identities/htpasswd-file.ts'
import { FederatedAccounts, KnownAccounts } from '../../../../src/registry/auth/identities/known-accounts.ts'
import { LocalAccounts } from '../../../../src/registry/auth/identities/local-accounts.ts'
import { openIdentities } from '../../../../src/registry/auth/identities/open-identities.ts'
import { OpenIdProvider } from '../../../../src/registry/auth/identities/openid-provider.ts'
import { OpenIdTokens } from '../../../../src/registry/auth/identities/openid-tokens.ts'
import { PasswordAccounts } from '../../../../src/registry/auth/identities/password-accounts.ts'
import { parseAccountName, parseTenantName } from '../../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../../src/storage/metadata/sqlite.ts'
import { identityProviderContract, type OpenedIdentityProvider } from '../../../contract/identity-provider.ts'
import { keepLog } from '../../../support/log-lines.ts'
import { OpenIdIssuer } from '../../../support/openid-issuer.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const alice = parseAccountName('alice')
const robot = parseAccountName('acme+ci')
const workload = parseAccountName('ci/job-1')
const password = 'correct horse'
const passwordHash = hashSync(password, 4)
const address = '192.0.2.1'
const noUses = { note: () => {} }

async function openDatabase(stack: AsyncDisposableStack): Promise<{ metadata: Metadata; directory: string }> {
  const directory = stack.use(await temporaryDirectory())
  const metadata = stack.use(await openSqliteMetadata(join(directory.path, 'metadata.sqlite')))
  return { metadata, directory: directory.path }
}

function wrongPasswords(username: string): OpenedIdentityProvider['wrong'] {
  return {
    'another password': { username, password: 'battery staple', address },
    'a longer one': { username, password: `${password}!`, address },
    'another account': { username: 'mallory', password, address },
    'other letters': { username: username.toUpperCase(), password, address },
  }
}

async function openPasswords(kind: 'user' | 'robot'): Promise<OpenedIdentityProvider> {
  await using stack = new AsyncDisposableStack()
  const { metadata } = await openDatabase(stack)
  const kept = keepLog()
  const account = kind === 'user' ? alice : robot
  const tenant = parseTenantName('acme')
  await metadata.createTenant({ name: tenant })
  await metadata.createAccount({
    name: account,
    kind,
    passwordHash,
    ...(kind === 'robot' ? { tenant } : {}),
  })
  const hasher = stack.use(new BcryptThreads())
  const accounts = new KnownAccounts([new LocalAccounts(metadata)], [])
  const provider = stack.use(
    new PasswordAccounts({ accounts, hasher, records: metadata, log: kept.log, cost: 4 }),
  )
  const owned = stack.move()
  return {
    provider,
    account,
    login: { username: account, password, address },
    wrong: wrongPasswords(account),
    credential: /^password$/,
    isRenewable: true,
    end: async () => {
      await metadata.updateAccount(account, { isDisabled: true })
    },
    logged: () => kept.text(),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

async function openHtpasswd(): Promise<OpenedIdentityProvider> {
  await using stack = new AsyncDisposableStack()
  const { metadata, directory } = await openDatabase(stack)
  const kept = keepLog()
  const path = join(directory, 'htpasswd')
  await writeFile(path, `alice:${passwordHash}\n`)
  const accounts = new KnownAccounts(
    [new LocalAccounts(metadata), await HtpasswdFile.open(path, kept.log)],
    [],
  )
  const hasher = stack.use(new BcryptThreads())
  const provider = stack.use(
    new PasswordAccounts({ accounts, hasher, records: metadata, log: kept.log, cost: 4 }),
  )
  const owned = stack.move()
  return {
    provider,
    account: alice,
    login: { username: 'alice', password, address },
    wrong: wrongPasswords('alice'),
    credential: /^password$/,
    isRenewable: true,
    end: async () => await writeFile(path, `alice:${hashSync(`${password}, changed`, 4)}\n`),
    logged: () => kept.text(),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

async function openTokens(): Promise<OpenedIdentityProvider> {
  await using stack = new AsyncDisposableStack()
  const { metadata } = await openDatabase(stack)
  const kept = keepLog()
  await metadata.createAccount({ name: alice, kind: 'user', passwordHash })
  const accounts = new KnownAccounts([new LocalAccounts(metadata), new FederatedAccounts([])], [])
  const give = async (more: object = {}, kind: 'token' | 'refresh' = 'token', account = alice) => {
    const { id, text, secretDigest } = makeAccountToken(kind)
    await metadata.addCredential({ id, kind, account, secretDigest, ...more })
    return { id, text }
  }
  const good = await give()
  const revoked = await give()
  await metadata.revokeCredential(alice, revoked.id)
  const expired = await give({ expiresAt: new Date(Date.now() - 1000) })
  const refresh = await give({}, 'refresh')
  const unknown = makeAccountToken('token')
  const stranger = await give({}, 'token', parseAccountName('gone/bob'))
  const of = (text: string, username = 'alice') => ({ username, password: text, address })
  const owned = stack.move()
  return {
    provider: new ApiTokens({ records: metadata, accounts, uses: noUses }),
    account: alice,
    login: of(good.text),
    wrong: {
      'a revoked one': of(revoked.text),
      'an expired one': of(expired.text),
      'a refresh token': of(refresh.text),
      'one that nobody knows': of(unknown.text),
      'the secret of another one': of(
        `vrv_${good.id}_${unknown.text.slice('vrv_'.length + good.id.length + 1)}`,
      ),
      'a typing error': of(`${good.text.slice(0, -1)}${good.text.endsWith('x') ? 'y' : 'x'}`),
      'the name of another account': of(good.text, 'bob'),
      'no name': of(good.text, ''),
      'a provider that is not configured any more': of(stranger.text, 'gone/bob'),
    },
    credential: new RegExp(`^token:${good.id}$`),
    isRenewable: true,
    end: async () => await metadata.revokeCredential(alice, good.id),
    logged: () => kept.text(),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

async function openOpenId(): Promise<OpenedIdentityProvider> {
  await using stack = new AsyncDisposableStack()
  const issuer = stack.use(await OpenIdIssuer.start())
  const kept = keepLog()
  const options = {
    name: 'ci',
    issuer: issuer.url,
    audiences: ['varve'],
    accountClaim: 'sub',
    require: {},
    roles: [],
  }
  const provider = stack.use(new OpenIdProvider(options, { log: kept.log, admins: [] }))
  const now = Math.floor(Date.now() / 1000)
  const of = (token: string) => ({ username: 'anything', password: token, address })
  const good = await issuer.sign()
  const [header = '', payload = '', signature = ''] = good.split('.')
  const unsigned = Buffer.from('{"alg":"none"}').toString('base64url')
  const owned = stack.move()
  return {
    provider: new OpenIdTokens([provider]),
    account: workload,
    login: of(good),
    wrong: {
      expired: of(await issuer.sign({ exp: now - 60 })),
      'not yet good': of(await issuer.sign({ nbf: now + 120 })),
      'for somebody else': of(await issuer.sign({ aud: 'other' })),
      'of another issuer': of(await issuer.sign({ iss: 'https://other.example' })),
      'of a part of the issuer': of(await issuer.sign({ iss: `${issuer.url}/` })),
      'without signature': of(`${unsigned}.${payload}.${'A'.repeat(43)}`),
      'with another signature': of(`${header}.${payload}.${signature.slice(0, -6)}AAAAAA`),
      'with a name that is none': of(await issuer.sign({ sub: '../../etc' })),
      'without a name': of(await issuer.sign({ sub: '' })),
    },
    credential: /^oidc:ci$/,
    isRenewable: false,
    logged: () => kept.text(),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

async function openAll(): Promise<OpenedIdentityProvider> {
  await using stack = new AsyncDisposableStack()
  const { metadata } = await openDatabase(stack)
  const kept = keepLog()
  await metadata.createAccount({ name: alice, kind: 'user', passwordHash })
  const opened = stack.use(
    await openIdentities({ records: metadata, log: kept.log, passwordCost: 4, maxFailures: 1000 }),
  )
  const { id, text, secretDigest } = makeAccountToken('token')
  await metadata.addCredential({ id, kind: 'token', account: alice, secretDigest })
  const owned = stack.move()
  return {
    provider: opened.identities,
    account: alice,
    login: { username: 'alice', password: text, address },
    wrong: wrongPasswords('alice'),
    credential: new RegExp(`^token:${id}$`),
    isRenewable: true,
    end: async () => {
      await metadata.updateAccount(alice, { isDisabled: true })
    },
    logged: () => kept.text(),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

identityProviderContract('A password of a user', () => openPasswords('user'))
identityProviderContract('A password of a robot', () => openPasswords('robot'))
identityProviderContract('A password of an htpasswd file', openHtpasswd)
identityProviderContract('An API token', openTokens)
identityProviderContract('A token of an OpenID provider', openOpenId)
identityProviderContract('All of them together', openAll)
