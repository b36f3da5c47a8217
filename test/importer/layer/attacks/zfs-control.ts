/** S-36 of layers.md 2.C: `.zfs` at the root of a dataset is no directory but ZFS's control surface. */
import { dir, file, hardlink, opaque, symlink, tar, whiteout } from '../../../support/tar.ts'
import { type Attack, refusedUntouched, stays } from './attack.ts'

const control: readonly (readonly [what: string, ...entries: readonly Buffer[]])[] = [
  ['a directory .zfs/', dir('.zfs/')],
  ['a directory ./.zfs', dir('./.zfs')],
  ['a directory //.zfs//', dir('//.zfs//')],
  ['a directory a/../.zfs', dir('a/../.zfs')],
  ['a new snapshot', dir('.zfs/snapshot/evil/')],
  ['a file in it', file('.zfs/shares/evil', 'pwned')],
  ['a file called .zfs', file('.zfs', 'pwned')],
  ['a symlink called .zfs', symlink('.zfs', 'x')],
  ['a hard link called .zfs', hardlink('.zfs', 'kept')],
  ['a whiteout of .zfs', whiteout('.zfs')],
  ['a whiteout of a snapshot', whiteout('.zfs/snapshot/before')],
  ['a whiteout of .zfs/snapshot/final', whiteout('.zfs/snapshot/final')],
  ['an opaque whiteout of .zfs', opaque('.zfs')],
  ['an opaque whiteout of .zfs/snapshot', opaque('.zfs/snapshot')],
  ['a hard link into it', hardlink('h', '.zfs/snapshot/before/kept')],
  ['an absolute hard link into it', hardlink('h', '/.zfs/snapshot/before/kept')],
]

const throughLinks: readonly (readonly [what: string, entry: Buffer])[] = [
  ['a directory', dir('z/evil')],
  ['a file', file('z/before/kept', 'pwned')],
  ['a whiteout', whiteout('z/before')],
  ['an opaque whiteout', opaque('z')],
  ['a hard link', hardlink('h', 'z/before/kept')],
]

const lower = tar(file('kept', 'kept'))

export const zfsControlAttacks: readonly Attack[] = [
  ...control.map(([what, ...entries]) =>
    refusedUntouched(`S-36: ${what}`, [lower, tar(...entries)], ['kept']),
  ),
  ...['.zfs/snapshot', '/.zfs/snapshot', '../.zfs/snapshot', './x/../.zfs/./snapshot'].flatMap(target =>
    throughLinks.map(([what, entry]) =>
      refusedUntouched(
        `S-36: ${what} through a symlink to ${target}`,
        [tar(file('kept', 'kept'), symlink('z', target)), tar(entry)],
        ['kept', `z -> ${target}`],
      ),
    ),
  ),
  stays('S-36: a symlink to it is only a symlink', tar(symlink('z', '.zfs/snapshot')), [
    'z -> .zfs/snapshot',
  ]),
  stays('S-36: deeper it is only a name', tar(file('a/.zfs/b')), ['a/', 'a/.zfs/', 'a/.zfs/b']),
  stays('S-36: names that begin like it', tar(file('.zfs2/a'), file('.ZFS'), file('.zfs ')), [
    '.ZFS',
    '.zfs ',
    '.zfs2/',
    '.zfs2/a',
  ]),
  stays(
    'S-36, S-16: an opaque whiteout of the root leaves it alone',
    [lower, tar(opaque(''), file('new'))],
    ['new'],
  ),
]
