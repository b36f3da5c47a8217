/** One line of passwd(5), as far as it matters here. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/** One line of group(5). */
export interface Group {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

/** What container engines take: larger ones have wrapped around to 0, which is root (CVE-2024-40635). */
const maxId = 2 ** 31 - 1

/** Lines that are no accounts are skipped, as libc does: a stranger wrote the file. */
export function parseAccounts(text: string): Account[] {
  return linesOf(text).flatMap(([name = '', , uid = '', gid = '', , home = '']) => {
    const ids = [parseId(uid), parseId(gid)] as const
    return name === '' || ids[0] === undefined || ids[1] === undefined
      ? []
      : [{ name, uid: ids[0], gid: ids[1], home }]
  })
}

export function parseGroups(text: string): Group[] {
  return linesOf(text).flatMap(([name = '', , digits = '', members = '']) => {
    const gid = parseId(digits)
    return name === '' || gid === undefined
      ? []
      : [{ name, gid, members: members.split(',').filter(member => member !== '') }]
  })
}

/** undefined for what is not a number, or one that is out of range. */
export function parseId(text: string): number | undefined {
  const id = Number(text)
  return /^\d{1,10}$/.test(text) && id <= maxId ? id : undefined
}

function linesOf(text: string): string[][] {
  return text
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(':'))
}
