import { type Ending, type Entry, isEntry, type Part } from './archive.ts'
import type { Tool } from './oracle.ts'
import {
  changesTheWay,
  endsInSlash,
  givesToSuccessor,
  isDescribedTwice,
  isOfAttributes,
  lastOf,
  prefixesOf,
} from './part-facts.ts'
import type { Step } from './scenes.ts'
import { componentsOf, look, walk, walkToParent } from './walk.ts'

/** Why a part of an archive is applied in another way elsewhere, as `reference/layers.md` numbers the reasons. */
export interface PartRule {
  readonly id: string
  readonly reason: string
  readonly tools: readonly Tool[]
  readonly explains: (step: Step) => boolean
  /** Why it may explain nothing in ten thousand archives. */
  readonly rare?: string
}

/** Of an entry. */
function entryRule(
  id: string,
  reason: string,
  tools: readonly Tool[],
  holds: (entry: Entry, step: Step) => boolean,
): PartRule {
  return { id, reason, tools, explains: step => isOfEntry(step.part) && holds(step.part, step) }
}

/** A device, or another name of one. */
function isNode({ kind }: Entry): boolean {
  return kind === 'character' || kind === 'block' || kind === 'fifo' || kind === 'hardlink'
}

function isOfEntry(part: Part | Ending): part is Entry {
  return 'name' in part
}

const both: readonly Tool[] = ['gnu', 'bsd']

export const partRules: readonly PartRule[] = [
  entryRule(
    'R8 directory in the way',
    'a directory that is not empty is replaced by what is no directory; elsewhere it stays',
    both,
    ({ kind, name }, { before, theirs, ours }) => {
      const found = look(before, name)
      if (kind === 'directory' || found.end !== 'there' || found.node.type !== 'directory') return false
      const isFull = [...before.keys(), ...theirs.tree.keys()].some(path => path.startsWith(`${found.path}/`))
      return (
        isFull &&
        theirs.tree.get(found.path)?.type === 'directory' &&
        ours.tree.get(found.path)?.type !== 'directory'
      )
    },
  ),
  entryRule(
    'R8 symlink to a directory',
    'a directory replaces a symlink; bsdtar takes the symlink for the directory that it leads to',
    ['bsd'],
    ({ kind, name }, { before, theirs }) => {
      const found = look(before, name)
      if (kind !== 'directory' || found.end !== 'there' || found.node.type !== 'symlink') return false
      return theirs.tree.get(found.path)?.type === 'symlink'
    },
  ),
  entryRule(
    'R32 directory twice',
    'of two entries for one directory the last counts; for bsdtar, and for GNU tar when it is spelled differently, either',
    both,
    ({ name }, step) => {
      const paths = new Set(step.differences.map(({ path }) => path))
      // From an entry for the root on, GNU tar looks again at all directories that it has made before.
      const mayBeMany = step.tool === 'gnu' && componentsOf(name).length === 0
      return (
        step.differences.every(isOfAttributes) &&
        (paths.size === 1 || mayBeMany) &&
        [...paths].every(path => isDescribedTwice(path, step))
      )
    },
  ),
  entryRule(
    'R17 directory replaced',
    'attributes are for the directory of the entry; the others look it up by its name again at the end',
    both,
    (entry, step) => givesToSuccessor(entry, step) || changesTheWay(entry, step),
  ),
  {
    ...entryRule(
      'R13 link on its own way',
      'an entry may replace a symlink that leads to it, or to what it is to be a link to; elsewhere the way is gone then, or made anew as directories',
      both,
      ({ kind, name, target }, { before }) => {
        const found = look(before, name)
        return (
          found.end === 'there' &&
          found.node.type === 'symlink' &&
          [name, ...(kind === 'hardlink' ? [target] : [])].flatMap(prefixesOf).some(prefix => {
            const onTheWay = look(before, prefix)
            return onTheWay.end === 'there' && onTheWay.path === found.path
          })
        )
      },
    ),
    rare: 'the name must come by a link, and then lead to that link',
  },
  entryRule(
    'R25 below a device',
    'a device node is not made, so that it is not in the way of what is below it',
    both,
    ({ name }, { before, archive }) => {
      const parent = walkToParent(before, name)
      const onTheWay = parent.end === 'missing' || parent.end === 'there' ? parent.path.split('/') : []
      const nodes = archive.layers.flatMap(({ parts }) => parts.filter(isEntry).filter(isNode))
      return nodes.some(node => onTheWay.includes(componentsOf(node.name).at(-1) ?? ''))
    },
  ),
  entryRule(
    'R13 dangling symlink on the way',
    'the directories that a symlink on the way leads to are made; elsewhere only those that are spelled out',
    both,
    ({ name }, { before, differences }) => {
      const parent = walkToParent(before, name)
      const top = parent.end === 'missing' ? (parent.path.split('/')[0] ?? '') : ''
      return (
        prefixesOf(name).some(prefix => {
          const found = look(before, prefix)
          return (
            found.end === 'there' &&
            found.node.type === 'symlink' &&
            walk(before, prefix, 'follow').end === 'missing'
          )
        }) &&
        differences.every(
          ({ aspect, path }) =>
            aspect === 'links' || (aspect === 'extra' && `${path}/`.startsWith(`${top}/`)),
        )
      )
    },
  ),
  entryRule(
    'R20 global header with a name',
    'a global header says nothing; for the others it names the entries after it',
    both,
    (_, { archive }) =>
      archive.layers.at(-1)?.parts.some(part => part.kind === 'global-header' && 'path' in part.records) ??
      false,
  ),
  {
    id: 'R22 sparse by PAX in another format',
    reason:
      'a PAX header makes a file sparse whatever the format of the header after it; for GNU tar only in that of POSIX',
    tools: ['gnu'],
    // It then takes what comes after the file for a part of it, so that the difference may be seen by any part.
    explains: ({ archive }) =>
      archive.layers.some(({ parts }) =>
        parts
          .filter(isEntry)
          .some(
            ({ kind, style }) =>
              kind === 'file' && /^sparse-[01]/.test(style.file) && style.format !== 'ustar',
          ),
      ),
  },
  {
    ...entryRule(
      'R24 normal forms',
      'a name is bytes; bsdtar writes an accent that stands alone in a PAX header together with its letter',
      ['bsd'],
      ({ name }, { theirs }) =>
        name.includes('e\xcc\x81') && [...theirs.tree.keys()].some(path => path.includes('\xc3\xa9')),
    ),
    rare: 'few names are in a PAX header, and few have an accent',
  },
  {
    id: 'R26 cut in the padding',
    reason: 'what is missing at the end is nothing but padding; the others read in whole records',
    tools: both,
    explains: ({ part }) => part.kind === 'cut',
  },
  entryRule(
    'R12 slash at the end',
    'a slash at the end of a name says nothing; elsewhere only a directory has one',
    both,
    endsInSlash,
  ),
  {
    ...entryRule(
      'R12 R25 link to a device that ends in a slash',
      'a link to another name of a device is not made either, and what it replaces is gone; elsewhere there is no such other name, as it ended in a slash',
      both,
      ({ kind, target }, { archive, differences }) =>
        kind === 'hardlink' &&
        differences.every(({ aspect, ours }) => aspect === 'missing' && ours === undefined) &&
        archive.layers.some(({ parts }) =>
          parts
            .filter(isEntry)
            .some(
              other =>
                other.kind === 'hardlink' && endsInSlash(other) && lastOf(other.name) === lastOf(target),
            ),
        ),
    ),
    rare: 'it takes a device, and a link to a link to it, of which one has a slash',
  },
  {
    ...entryRule(
      'R11 sparse file without name',
      'an empty name in a PAX record is none, so that the name in the header counts; the others take it for the root',
      both,
      ({ kind, name, style }) => kind === 'file' && name === '' && /^sparse-[01]/.test(style.file),
    ),
    rare: 'few names are empty, and fewer of sparse files',
  },
  entryRule(
    'R11 root without name',
    'an empty name is the root; bsdtar does not take it',
    ['bsd'],
    ({ kind, name }, { differences }) =>
      kind === 'directory' && name === '' && differences.every(({ path }) => path === '.'),
  ),
  entryRule(
    'R11 root as a slash',
    'the root has the mode of its entry; bsdtar does not give it to `/`',
    ['bsd'],
    ({ kind, name }, { differences }) =>
      kind === 'directory' &&
      /^\/+$/.test(name) &&
      differences.every(({ path, aspect }) => path === '.' && aspect === 'mode'),
  ),
]
