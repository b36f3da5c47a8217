import { DomainError } from '../../errors.ts'
import { type Account, type Group, parseId } from './accounts.ts'

/** Who a container's process runs as, in numbers of the image. */
export interface ProcessUser {
  readonly uid: number
  readonly gid: number
  /** Of the groups that name the account as a member, ascending; none where the config names a group. */
  readonly additionalGids: readonly number[]
  /** Undefined where the image has no account of that number. */
  readonly name: string | undefined
  /** `/` where the image says nothing else. */
  readonly home: string
}

export interface Accounts {
  readonly accounts: readonly Account[]
  readonly groups: readonly Group[]
}

/**
 * Resolves the `User` of an image config: empty, `user`, `uid`, `user:group`, `uid:gid` and their mixtures.
 *
 * All digits are a number, never a name, and one that is out of range is an error: what fell back to another meaning
 * has become root elsewhere (CVE-2024-40635, CVE-2026-46680).
 * Source: OCI image-spec, config.md, "User".
 * @throws DomainError `invalid`, naming what the image does not have.
 */
export function resolveUser(text: string, { accounts, groups }: Accounts): ProcessUser {
  const [userText = '', groupText, ...rest] = text.split(':')
  if (rest.length > 0) throw badUser(text, 'it has more than one ":"')
  const user = userOf(text, userText === '' ? '0' : userText, accounts)
  if (groupText !== undefined && groupText !== '')
    return { ...user, gid: groupIdOf(text, groupText, groups), additionalGids: [] }
  const additional = groups
    .filter(({ members }) => user.name !== undefined && members.includes(user.name))
    .map(({ gid }) => gid)
  return { ...user, additionalGids: [...new Set(additional)].sort((a, b) => a - b) }
}

function userOf(
  text: string,
  user: string,
  accounts: readonly Account[],
): Omit<ProcessUser, 'additionalGids'> {
  if (!isNumber(user)) {
    const account = accounts.find(({ name }) => name === user)
    if (account === undefined) throw badUser(text, `its /etc/passwd has no account ${JSON.stringify(user)}`)
    return described(account)
  }
  const uid = parseId(user)
  if (uid === undefined) throw badUser(text, 'the number of the user is out of range')
  const account = accounts.find(candidate => candidate.uid === uid)
  return account === undefined ? { uid, gid: 0, name: undefined, home: '/' } : described(account)
}

function described({ uid, gid, name, home }: Account): Omit<ProcessUser, 'additionalGids'> {
  return { uid, gid, name, home: home.startsWith('/') ? home : '/' }
}

function groupIdOf(text: string, group: string, groups: readonly Group[]): number {
  const gid = isNumber(group) ? parseId(group) : groups.find(({ name }) => name === group)?.gid
  if (gid !== undefined) return gid
  throw badUser(
    text,
    isNumber(group)
      ? 'the number of the group is out of range'
      : `its /etc/group has no group ${JSON.stringify(group)}`,
  )
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text)
}

function badUser(text: string, why: string): DomainError {
  return new DomainError('invalid', `The image runs as ${JSON.stringify(text)}, which nobody can: ${why}.`, {
    resource: 'image',
  })
}
