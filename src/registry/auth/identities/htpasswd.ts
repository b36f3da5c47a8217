import { accountKindOf, type AccountName, parseAccountName } from '../../../storage/accounts/names.ts'
import { bcryptCostOf } from './password.ts'

/** What is in an htpasswd file, or why it is none, by line. */
export type Htpasswd = { readonly hashes: ReadonlyMap<AccountName, string> } | { readonly problem: string }

const maxLine = 512

/** `NAME:HASH` lines; empty ones and those that begin with `#` say nothing. Nothing of a line is told but its number. */
export function parseHtpasswd(text: string): Htpasswd {
  const hashes = new Map<AccountName, string>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [name = '', hash = ''] = line.length > maxLine ? [] : line.trimEnd().split(':')
    const at = `line ${index + 1}`
    if (accountKindOf(name) !== 'user')
      return { problem: `${at} does not begin with a user's name and a colon; names have small letters` }
    if (bcryptCostOf(hash) === undefined)
      return { problem: `${at} has no hash of bcrypt; make it with htpasswd -B` }
    const account = parseAccountName(name)
    if (hashes.has(account)) return { problem: `${at} has a name that stands further up already` }
    hashes.set(account, hash)
  }
  return { hashes }
}
