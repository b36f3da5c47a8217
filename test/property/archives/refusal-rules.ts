import { type Ending, type Entry, isEntry, type Part } from './archive.ts'
import { encodeEntry } from './encode.ts'
import type { Refusal } from './scenes.ts'
import { componentsOf, look, walkToParent } from './walk.ts'

/** Why we refuse a part of an archive, as `reference/layers.md` numbers the reasons. */
export interface RefusalRule {
  readonly id: string
  readonly reason: string
  readonly explains: (refusal: Refusal) => boolean
  /** When it looks at the part alone: whatever it explains must be refused. */
  readonly always?: (part: Part | Ending) => boolean
}

const maxId = 4294967294

/** Of whatever part it is. */
function always(id: string, reason: string, holds: (part: Part | Ending) => boolean): RefusalRule {
  return { id, reason, explains: ({ part }) => holds(part), always: holds }
}

/** Of an entry. */
function alwaysOf(id: string, reason: string, holds: (entry: Entry) => boolean): RefusalRule {
  return always(id, reason, part => isEntry(part as Part) && holds(part as Entry))
}

/** Of an entry, in what the entries before it have made. */
function sometimes(
  id: string,
  reason: string,
  holds: (entry: Entry, refusal: Refusal) => boolean,
): RefusalRule {
  return {
    id,
    reason,
    explains: refusal => isEntry(refusal.part as Part) && holds(refusal.part as Entry, refusal),
  }
}

function namesOf({ kind, name, target }: Entry): string[] {
  return kind === 'hardlink' ? [name, target] : [name]
}

/** The types of the headers that stand before the one of the entry itself. */
function typesBefore(encoded: Buffer): Set<string> {
  const types = new Set<string>()
  for (let offset = 0; ; ) {
    const type = encoded.toString('latin1', offset + 156, offset + 157)
    if (!['x', 'L', 'K'].includes(type)) return types
    types.add(type)
    const size = Number.parseInt(encoded.toString('latin1', offset + 124, offset + 135), 8)
    offset += 512 + Math.ceil(size / 512) * 512
  }
}

export const refusalRules: readonly RefusalRule[] = [
  alwaysOf('R12 dotdot', 'a name, or the target of a hard link, has a component `..`', entry =>
    namesOf(entry).some(name => componentsOf(name).includes('..')),
  ),
  alwaysOf('R24 long component', 'a component is longer than 255 bytes', entry =>
    namesOf(entry).some(name => componentsOf(name).some(component => component.length > 255)),
  ),
  alwaysOf(
    'R23 owner',
    'the owner or group is -1 to chown(2), or has more than 32 bits',
    ({ uid, gid }) => uid > maxId || gid > maxId,
  ),
  alwaysOf(
    'R11 root',
    'the root is described as something that is no directory, or linked to',
    entry =>
      (entry.kind !== 'directory' && entry.kind !== 'file' && componentsOf(entry.name).length === 0) ||
      (entry.kind === 'hardlink' && componentsOf(entry.target).length === 0),
  ),
  alwaysOf(
    'R11 root file',
    'the root is described as a file, or by a name that is empty',
    // A sparse file whose PAX name is empty has that of its header.
    ({ kind, name, style }) =>
      kind === 'file' &&
      componentsOf(name).length === 0 &&
      !name.endsWith('/') &&
      !(name === '' && /^sparse-(0\.1|1)/.test(style.file)),
  ),
  alwaysOf(
    '1.B 5 directory with content',
    'a file whose name ends in `/` is a directory, which has no content and is not sparse',
    ({ kind, name, content, style }) =>
      kind === 'file' && name.endsWith('/') && (content.length > 0 || style.file.startsWith('sparse-')),
  ),
  alwaysOf('1.B two kinds of header', 'an entry has a PAX header and a long name of GNU', entry => {
    const types = typesBefore(encodeEntry(entry))
    return types.has('x') && (types.has('L') || types.has('K'))
  }),
  always(
    '1.B 6 body',
    'a header of something without content says that content follows',
    ({ kind }) => kind === 'body-of-nothing',
  ),
  always('1.B 16 type', 'the type is none that anybody knows', ({ kind }) => kind === 'unknown-type'),
  always('1.B x at the end', 'a PAX header is for no entry', ({ kind }) => kind === 'dangling-header'),
  {
    id: '1.B 2 one block of zeros',
    reason: 'after a single block of zeros there is more',
    explains: ({ archive, position }) =>
      archive.layers[position.layer]?.parts
        .slice(0, position.part)
        .some(({ kind }) => kind === 'zero-block') ?? false,
  },
  {
    id: 'R26 cut',
    reason: 'the archive ends in the middle of an entry',
    explains: ({ part }) => part.kind === 'cut',
  },
  sometimes(
    'R9 parent',
    'on the way to the name, or to the target of the hard link, is something that is no directory',
    (entry, { before }) =>
      namesOf(entry).some(
        name => walkToParent(before, name).end === 'not a directory' || parentIsFile(before, name),
      ),
  ),
  sometimes('R13 loop', 'the way leads through more than 255 symlinks', (entry, { before }) =>
    namesOf(entry).some(name => walkToParent(before, name).end === 'loop'),
  ),
  sometimes(
    'R14 missing',
    'the target of the hard link is not there',
    ({ kind, target }, { before }) => kind === 'hardlink' && look(before, target).end === 'missing',
  ),
  sometimes('R14 directory', 'the target of the hard link is a directory', ({ kind, target }, { before }) => {
    const found = look(before, target)
    return kind === 'hardlink' && found.end === 'there' && found.node.type === 'directory'
  }),
  sometimes(
    'R14 itself',
    'the hard link would remove its own target',
    ({ kind, name, target }, { before }) => {
      const [at, to] = [look(before, name), look(before, target)]
      return (
        kind === 'hardlink' &&
        at.end === 'there' &&
        to.end === 'there' &&
        `${to.path}/`.startsWith(`${at.path}/`)
      )
    },
  ),
]

function parentIsFile(before: Refusal['before'], name: string): boolean {
  const parent = walkToParent(before, name)
  return parent.end === 'there' && parent.node.type !== 'directory'
}
