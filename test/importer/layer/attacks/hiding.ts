/** S-15 to S-21 of layers.md 2.C: whiteouts. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dir, file, hardlink, opaque, symlink, tar, whiteout } from '../../../support/tar.ts'
import { type Attack, refusedUntouched, stays } from './attack.ts'

const lower = tar(file('etc/passwd'), file('a/b'))
const lowerNames = ['a/', 'a/b', 'etc/', 'etc/passwd']

const malformed = [
  '.wh..',
  '.wh...',
  'etc/.wh..',
  'etc/.wh...',
  '.wh.',
  'a/.wh.',
  '.wh..wh..',
  '.wh..wh..opq.',
  'etc/.wh..wh.opq',
  './.wh..',
  '.wh../',
  'etc/./.wh.../',
]

export const hidingAttacks: readonly Attack[] = [
  ...malformed.map(name =>
    refusedUntouched(`S-15: a whiteout called ${name}`, [lower, tar(file(name))], lowerNames),
  ),
  refusedUntouched('S-15: a directory called .wh...', [lower, tar(dir('etc/.wh...'))], lowerNames),
  refusedUntouched('S-15: a whiteout of 300 bytes', [lower, tar(file(`.wh.${'x'.repeat(300)}`))], lowerNames),
  stays(
    'S-16: opaque at the root',
    [
      tar(dir('./', { mode: 0o751, uid: 3, mtime: 9 }), file('old/a'), file('b'), symlink('l', '/')),
      tar(file('new/c'), opaque(''), file('d')),
    ],
    ['d', 'new/', 'new/c'],
    sandbox => {
      const { mode, uid, mtime } = sandbox.tree().get('.') ?? {}
      assert.deepEqual([mode, uid, mtime], [0o751, 3, 9_000_000_000n])
    },
  ),
  stays('S-17: a whiteout of a symlink', [tar(symlink('l', '/victim')), tar(whiteout('l'))], []),
  stays(
    "S-17: a whiteout of a symlink to the canary's directory",
    [({ directory }) => tar(symlink('l', join(directory, 'victim')), file('f')), tar(whiteout('l'))],
    ['f'],
  ),
  stays(
    'S-17: a whiteout through a symlink',
    [tar(file('etc/passwd'), symlink('l', '/etc')), tar(whiteout('l/passwd'))],
    ['etc/', 'l -> /etc'],
  ),
  stays(
    'S-17: an opaque whiteout through a symlink',
    [tar(file('etc/passwd'), symlink('l', '/etc')), tar(opaque('l'))],
    ['etc/', 'l -> /etc'],
  ),
  stays(
    "S-17: whiteouts through a symlink to the canary's directory",
    [
      ({ directory }) => tar(symlink('l', join(directory, 'victim')), file('f')),
      tar(whiteout('l/authorized_keys'), opaque('l'), whiteout('l/.ssh')),
    ],
    undefined,
    sandbox => assert.deepEqual(sandbox.names().length, 2),
  ),
  stays(
    'S-17: a tree with symlinks in it is removed, not what they point to',
    [
      ({ directory }) =>
        tar(file('d/e/f'), symlink('d/out', directory), symlink('d/e/victim', join(directory, 'victim'))),
      tar(whiteout('d')),
    ],
    [],
  ),
  stays(
    'S-19: a whiteout and an addition, in both orders',
    [
      tar(file('d/old'), file('d/sub/old'), file('e/old'), file('e/sub/old')),
      tar(file('d/new'), whiteout('d'), whiteout('e'), file('e/new')),
    ],
    ['d/', 'd/new', 'e/', 'e/new'],
  ),
  ...[true, false].map(first =>
    stays(
      `S-20: an opaque whiteout ${first ? 'before' : 'after'} a file whose directory it only implies`,
      [
        tar(file('d/sub/old'), file('d/old')),
        tar(...(first ? [opaque('d'), file('d/sub/f', 'new')] : [file('d/sub/f', 'new'), opaque('d')])),
      ],
      ['d/', 'd/sub/', 'd/sub/f'],
      ({ rootfs }) => assert.equal(readFileSync(join(rootfs, 'd/sub/f'), 'utf8'), 'new'),
    ),
  ),
  stays(
    'S-21: hard-linked whiteouts',
    [tar(file('a'), file('b'), file('c')), tar(whiteout('a'), hardlink('.wh.b', '.wh.a'))],
    ['c'],
  ),
  stays(
    'S-21: whiteouts of every other type',
    [
      tar(file('a'), file('b'), file('c'), file('d/e'), file('f')),
      tar(symlink('.wh.a', '/'), dir('.wh.b'), hardlink('.wh.c', 'nowhere'), symlink('d/.wh..wh..opq', '/')),
    ],
    ['d/', 'f'],
  ),
]
