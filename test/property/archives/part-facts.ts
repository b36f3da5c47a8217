import { type Entry, isEntry, type Part } from './archive.ts'
import { type Difference, secondsOf } from './difference.ts'
import type { Step } from './scenes.ts'
import { componentsOf, look, walk } from './walk.ts'

/** What is no directory stands where one was, and has its owner and time; or what it leads to has them, as a symlink. */
export function givesToSuccessor(
  { kind, name }: Entry,
  { before, theirs, differences, archive }: Step,
): boolean {
  const found = look(before, name)
  if (kind === 'directory' || found.end !== 'there' || found.node.type !== 'directory') return false
  const successors = (['keep', 'follow'] as const).flatMap(last => {
    const walked = walk(theirs.tree, found.path, last)
    return walked.end === 'there' ? [walked.node] : []
  })
  const parts = archive.layers.at(-1)?.parts ?? []
  const globalTimes = globalTimesIn(parts)
  return (
    differences.every(isOfAttributes) &&
    directoriesAt(name, parts).some(({ mtime, uid }) =>
      successors.some(
        there =>
          [mtime, ...globalTimes].some(time => BigInt(Math.floor(time)) === secondsOf(there)) &&
          there.uid === uid,
      ),
    )
  )
}

/** Times that a global header says; for the others they hold for the entries after it. */
function globalTimesIn(parts: readonly Part[]): number[] {
  return parts.flatMap(part =>
    part.kind === 'global-header' && part.records['mtime'] !== undefined
      ? [Number(part.records['mtime'])]
      : [],
  )
}

/** A symlink is replaced that a directory's entry came by, so that at the end the directory is not found. */
export function changesTheWay({ name }: Entry, { before, differences }: Step): boolean {
  const found = look(before, name)
  return (
    found.end === 'there' &&
    found.node.type === 'symlink' &&
    differences.every(difference => isOfAttributes(difference) && difference.ours?.type === 'directory')
  )
}

export function isOfAttributes({ aspect }: Pick<Difference, 'aspect'>): boolean {
  return aspect === 'mode' || aspect === 'owner' || aspect === 'mtime'
}

/** What a name leads through: `a` and `a/b` for `a/b/c`. */
export function prefixesOf(name: string): string[] {
  const components = componentsOf(name)
  return components.slice(1).map((_, index) => components.slice(0, index + 1).join('/'))
}

/** How GNU tar and bsdtar make a directory that no entry describes. */
const implied = { mode: 0o755, uid: 0, gid: 0, mtime: 0 }

/** What is no directory, and has a slash at the end of its name, or of that of what it is a link to. */
export function endsInSlash({ kind, name, target }: Entry): boolean {
  return kind !== 'directory' && (/\/\.?$/.test(name) || (kind === 'hardlink' && /\/\.?$/.test(target)))
}

export function lastOf(path: string): string | undefined {
  return componentsOf(path).at(-1)
}

/** The entries that may be for the directory at this path: links on the way do not change the last component. */
export function directoriesAt(path: string, parts: readonly Part[]): Entry[] {
  return parts.filter(isEntry).filter(other => isDirectory(other) && lastOf(other.name) === lastOf(path))
}

/** Files whose names end in a slash are directories, too. */
function isDirectory({ kind, name }: Entry): boolean {
  return kind === 'directory' || (kind === 'file' && name.endsWith('/'))
}

/** All that names in the layer call this directory. */
function spellingsOf(path: string, parts: readonly Part[]): Set<string> {
  // The root has no component; only its own entries name it.
  if (path === '.') return new Set(directoriesAt(path, parts).map(({ name }) => name))
  const prefixes = parts.filter(isEntry).flatMap(({ name }) => {
    const components = name.split('/')
    return components.map((_, index) => components.slice(0, index + 1).join('/'))
  })
  return new Set(prefixes.filter(prefix => lastOf(prefix) === lastOf(path) && !prefix.endsWith('/')))
}

/** Whether the other program has given a directory what another one of its entries says, or none. */
export function isDescribedTwice(path: string, { tool, theirs, archive }: Step): boolean {
  const there = theirs.tree.get(path)
  if (there?.type !== 'directory') return false
  const parts = archive.layers.at(-1)?.parts ?? []
  const described = directoriesAt(path, parts)
  const isOneOfThem = [...described, implied].some(
    ({ mode, uid, gid, mtime }) =>
      mode === there.mode ||
      BigInt(Math.floor(mtime)) === secondsOf(there) ||
      (uid === there.uid && gid === there.gid),
  )
  return (
    isOneOfThem &&
    (tool === 'bsd' ? described.length > 1 : described.length > 0 && spellingsOf(path, parts).size > 1)
  )
}
