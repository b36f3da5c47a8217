/** S-6, S-7 and S-11 to S-13 of layers.md 2.C: hard links. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { dir, file, hardlink, symlink, tar } from '../../../support/tar.ts'
import { type Attack, refused, refusedUntouched, stays } from './attack.ts'

export const linkAttacks: readonly Attack[] = [
  ...['../../etc/passwd', '../canary', '/etc/passwd', '/../canary', './../canary', '//etc/passwd'].map(
    target => refusedUntouched(`S-6: a hard link to ${target}`, tar(hardlink('h', target)), []),
  ),
  refusedUntouched(
    "S-6: a hard link to the canary's own path",
    [({ directory }) => tar(hardlink('h', join(directory, 'victim/authorized_keys')))],
    [],
  ),
  refused('S-6: a hard link to the directory above, then a file in it', [
    tar(hardlink('loophole', '../victim'), file('loophole/pwn')),
  ]),
  stays(
    'S-7: a hard link to a symlink changes nothing where it points (CVE-2021-32760)',
    [
      ({ directory }) => tar(symlink('a', join(directory, 'link'))),
      tar(hardlink('h', 'a', { mode: 0o777, uid: 7, gid: 8, mtime: 9 })),
    ],
    undefined,
    sandbox => {
      const outside = join(sandbox.directory, 'link')
      assert.deepEqual(sandbox.names(), [`a -> ${outside}`, `h -> ${outside}`])
      assert.deepEqual(sandbox.tree().get('h')?.links, ['a', 'h'])
    },
  ),
  stays(
    'S-7: a file takes the place of such a hard link',
    [
      ({ directory }) =>
        tar(
          symlink('a', join(directory, 'canary')),
          hardlink('h', 'a'),
          file('h', 'pwned'),
          file('a', 'pwned'),
        ),
    ],
    ['a', 'h'],
  ),
  stays(
    'S-11: a hard link target through an absolute symlink, and an absolute one',
    [
      tar(file('usr/bin/a'), symlink('bin', '/usr/bin')),
      tar(hardlink('b', '/usr/bin/a'), hardlink('c', 'bin/a'), hardlink('bin/d', '/bin/a')),
    ],
    ['b', 'bin -> /usr/bin', 'c', 'usr/', 'usr/bin/', 'usr/bin/a', 'usr/bin/d'],
    sandbox => assert.deepEqual(sandbox.tree().get('b')?.links, ['b', 'c', 'usr/bin/a', 'usr/bin/d']),
  ),
  refused(
    'S-12: a hard link through a symlink and ..',
    tar(dir('dir'), symlink('d', 'dir'), hardlink('h', 'd/../../..')),
  ),
  refused(
    'S-12: a hard link to what is behind a symlink and ..',
    tar(dir('dir'), symlink('d', 'dir'), hardlink('h', 'd/../../canary')),
  ),
  refusedUntouched('S-13: a hard link to a sibling of the root', tar(hardlink('h', '../rootfs-evil/f')), []),
  refusedUntouched(
    'S-13: a hard link to it by its own path',
    [({ rootfs }) => tar(hardlink('h', `${rootfs}-evil/f`))],
    [],
  ),
  refused('S-13: a hard link to it through a symlink', [
    tar(symlink('s', '../rootfs-evil')),
    tar(hardlink('h', 's/f')),
  ]),
  stays(
    'S-13: a file in it through a symlink',
    [tar(symlink('s', '../rootfs-evil')), tar(file('s/f', 'pwned'))],
    ['rootfs-evil/', 'rootfs-evil/f', 's -> ../rootfs-evil'],
  ),
]
