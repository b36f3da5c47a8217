import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config.ts'
import { DomainError, errnoOf, isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { generatePassword } from '../../registry/admin/service/accounts.ts'
import { bcryptHere } from '../../registry/auth/identities/bcrypt-here.ts'
import { defaultPasswordCost } from '../../registry/auth/identities/password.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { type AccountName, parseAccountName } from '../../storage/accounts/names.ts'
import type { AccountRecords } from '../../storage/metadata/account-records.ts'
import { useDirectory } from '../use-directory.ts'

const firstAdmin = parseAccountName('admin')
/** In the data directory. */
export const passwordFileName = 'admin-password'

const pageSize = 500

/**
 * When nobody can administer the registry yet, makes the user `admin` with a random password, in a file that only the
 * registry's own user can read. Of several replicas that start at once the database takes one; an admin that somebody
 * has deleted, or locked out, while there is another does not come back.
 *
 * @param cost of bcrypt; as for all passwords unless given.
 * @throws DomainError `invalid` when the file cannot be written; then there is no account either.
 */
export async function ensureAdmin(
  { auth, data }: Pick<Config, 'auth' | 'data'>,
  accounts: AccountRecords,
  log: Logger,
  { cost = defaultPasswordCost, ...options }: Abortable & { readonly cost?: number } = {},
): Promise<void> {
  if (auth.mode === 'none' || auth.admins.length > 0 || (await hasAdmin(accounts, options))) return
  const password = generatePassword()
  const passwordHash = await bcryptHere.hash(password, cost, options)
  await useDirectory(data, '--data')
  const file = join(data, passwordFileName)
  // The password is on the disk before the account is in the database, and has its name only when that is taken.
  const unfinished = join(data, `.${passwordFileName}-${randomUUID()}`)
  try {
    await writeSecret(unfinished, password)
    if (!(await createAdmin(accounts, passwordHash, log, options))) return
    await rename(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
  log.warn({ account: firstAdmin, file }, 'made the first admin; its password is in this file')
}

async function hasAdmin(accounts: AccountRecords, options: Abortable): Promise<boolean> {
  for (let after: AccountName | undefined; ; ) {
    const page = await accounts.listAccounts({ kind: 'user', limit: pageSize, after }, options)
    if (page.some(({ isAdmin }) => isAdmin)) return true
    after = page.at(-1)?.name
    if (page.length < pageSize) return false
  }
}

/** Whether it was this process that made it. */
async function createAdmin(
  accounts: AccountRecords,
  passwordHash: string,
  log: Logger,
  options: Abortable,
): Promise<boolean> {
  try {
    await accounts.createAccount(
      {
        name: firstAdmin,
        kind: 'user',
        isAdmin: true,
        passwordHash,
        description: 'made when the registry was started first',
      },
      options,
    )
    return true
  } catch (error) {
    if (!isDomainError(error, 'already_exists')) throw error
    // Another replica was first; or somebody has a user of this name without its rights.
    const { isAdmin } = await accounts.getAccount(firstAdmin, options)
    if (!isAdmin)
      log.warn(
        { account: firstAdmin },
        'nobody can administer this registry: varve user set NAME --admin yes makes somebody an admin',
      )
    return false
  }
}

async function writeSecret(path: string, secret: string): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.writeFile(`${secret}\n`)
    await file.sync()
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === undefined) throw cause
    throw new DomainError(
      'invalid',
      `The password of the first admin cannot be written to ${path} (${errno}); choose another directory with --data.`,
      { resource: 'config', name: path },
      { cause },
    )
  }
}
