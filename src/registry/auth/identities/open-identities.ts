import type { Logger } from '../../../log.ts'
import type { AccountRecords, CredentialRecords } from '../../../storage/metadata/account-records.ts'
import { ApiTokens } from './api-tokens.ts'
import { BcryptThreads } from './bcrypt-threads.ts'
import { HtpasswdFile } from './htpasswd-file.ts'
import { Identities } from './identities.ts'
import { FederatedAccounts, KnownAccounts } from './known-accounts.ts'
import { LocalAccounts } from './local-accounts.ts'
import { LoginDelay } from './login-delay.ts'
import { OpenIdProvider } from './openid-provider.ts'
import { OpenIdTokens } from './openid-tokens.ts'
import type { PasswordHasher } from './password.ts'
import { PasswordAccounts } from './password-accounts.ts'
import type { OpenIdProviderOptions } from './provider-options.ts'
import { RightLogins } from './right-logins.ts'
import { type UseLog, UseNotes } from './use-notes.ts'

export interface OpenIdentitiesOptions {
  readonly records: Pick<AccountRecords, 'findAccount' | 'rehashPassword'> &
    Pick<CredentialRecords, 'findCredential' | 'noteUses'>
  readonly log: Logger
  readonly htpasswdFile?: string | undefined
  readonly providers?: readonly OpenIdProviderOptions[] | undefined
  /** Names of accounts that may do everything, beside those that the database calls so. */
  readonly admins?: readonly string[] | undefined
  /** Wrong passwords for an account, from one address, that cost nothing; 5 unless given. */
  readonly maxFailures?: number | undefined
  /** The longest delay after more of them; 900,000 unless given. */
  readonly maxDelayMs?: number | undefined
  /** Cost of new hashes of bcrypt. */
  readonly passwordCost?: number | undefined
}

/** What one process knows people by. Disposing it writes when credentials were last used. */
export interface OpenedIdentities extends AsyncDisposable {
  readonly identities: Identities
  /** For setting passwords over HTTP. */
  readonly hasher: PasswordHasher
  readonly providers: readonly OpenIdProvider[]
  /** Where uses of other credentials are noted, too. */
  readonly uses: UseLog
}

/** @throws DomainError `invalid` when the htpasswd file cannot be used. */
export async function openIdentities(options: OpenIdentitiesOptions): Promise<OpenedIdentities> {
  await using stack = new AsyncDisposableStack()
  const { records, log, htpasswdFile, admins = [], passwordCost: cost } = options
  const providers = (options.providers ?? []).map(provider =>
    stack.use(new OpenIdProvider(provider, { log, admins })),
  )
  const accounts = new KnownAccounts(
    [
      new LocalAccounts(records),
      ...(htpasswdFile === undefined ? [] : [await HtpasswdFile.open(htpasswdFile, log)]),
      new FederatedAccounts(providers.map(provider => provider.options.name)),
    ],
    admins,
  )
  const hasher = stack.use(new BcryptThreads())
  const uses = stack.use(new UseNotes({ records, log }))
  const passwords = stack.use(new PasswordAccounts({ accounts, hasher, records, log, cost }))
  const identities = new Identities({
    accounts,
    tokens: new ApiTokens({ records, accounts, uses }),
    openId: new OpenIdTokens(providers),
    passwords,
    rightLogins: new RightLogins(),
    delay: new LoginDelay({
      maxFailures: options.maxFailures ?? 5,
      maxDelayMs: options.maxDelayMs ?? 900_000,
    }),
    uses,
  })
  const owned = stack.move()
  return {
    identities,
    hasher,
    providers,
    uses,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}
