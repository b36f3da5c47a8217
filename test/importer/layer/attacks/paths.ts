/** S-1 to S-5, S-8 to S-10, S-14 and S-35 of layers.md 2.C: where a name leads. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dir, file, hardlink, opaque, symlink, tar, whiteout } from '../../../support/tar.ts'
import { type Attack, refused, stays } from './attack.ts'

const chainOfLinks = (length: number): Buffer[] =>
  Array.from({ length }, (_, hop) => symlink(`l${hop}`, `l${hop + 1}`))

/** Every way in which a layer may try to act behind a symlink `x`, which leads out as the host sees it. */
const behindLink: readonly (readonly [what: string, entry: Buffer, names: readonly string[]])[] = [
  ['a directory', dir('x/pwn', { mode: 0o777 }), ['victim/', 'victim/pwn/']],
  ['a symlink', symlink('x/pwn', '/'), ['victim/', 'victim/pwn -> /']],
  ['a file over a file', file('x/authorized_keys', 'pwned'), ['victim/', 'victim/authorized_keys']],
  ['a whiteout', whiteout('x/authorized_keys'), []],
  ['an opaque whiteout', opaque('x'), []],
]

export const pathAttacks: readonly Attack[] = [
  stays('S-1: a symlink to /', tar(symlink('x', '/'), file('x/etc/pwn')), ['etc/', 'etc/pwn', 'x -> /']),
  stays('S-2: a symlink far up', tar(symlink('x', '../../..'), file('x/pwn')), ['pwn', 'x -> ../../..']),
  ...['../pwn', '/../pwn', 'a/../../pwn', '..', 'a/..', './..', '..//pwn', '.../../pwn'].map(name =>
    refused(`S-3: a file called ${name}`, tar(file(name))),
  ),
  refused('S-3: a directory called ../victim', tar(dir('../victim', { mode: 0o777 }))),
  refused('S-3: a whiteout of ../canary', tar(file('../.wh.canary'))),
  stays(
    'S-3: ..pwn and pwn.. are names like others',
    tar(file('..pwn'), file('pwn..'), file('...'), file('a/..b/c')),
    ['...', '..pwn', 'a/', 'a/..b/', 'a/..b/c', 'pwn..'],
  ),
  stays(
    'S-4: a symlink in one layer, used in the next (CVE-2025-45582)',
    [tar(symlink('x', '../../victim')), tar(file('x/authorized_keys', 'pwned'))],
    ['victim/', 'victim/authorized_keys', 'x -> ../../victim'],
  ),
  ...['../victim', '/../victim', '/./../../victim'].flatMap(target =>
    behindLink.map(([what, entry, names]) =>
      stays(
        `S-4: ${what} behind a symlink to ${target}`,
        [tar(symlink('x', target)), tar(entry)],
        [...names, `x -> ${target}`],
      ),
    ),
  ),
  stays(
    "S-4: a file behind a symlink to the canary's own path",
    [
      ({ directory }) => tar(symlink('x', join(directory, 'victim'))),
      tar(file('x/authorized_keys', 'pwned'), dir('x', { mode: 0o777 })),
    ],
    undefined,
    ({ directory, rootfs }) =>
      assert.equal(readFileSync(join(rootfs, directory, 'victim/authorized_keys'), 'utf8'), 'pwned'),
  ),
  ...['.', '/.', './', '//', '', '/', './.'].map(name =>
    refused(`S-5: a symlink called ${JSON.stringify(name)} (CVE-2021-29136)`, tar(symlink(name, '/tmp'))),
  ),
  refused('S-5: a root that is a file', tar(file('.', 'pwn'))),
  refused('S-5: a root that is a hard link', tar(file('a'), hardlink('/', 'a'))),
  stays(
    'S-8: a directory becomes a symlink and a directory again (CVE-2025-47290)',
    tar(
      dir('foo'),
      dir('foo/tmp'),
      file('foo/tmp/pwn', '1'),
      symlink('foo', '/'),
      file('foo/tmp/pwn', '2'),
      dir('foo'),
      dir('foo/tmp'),
      file('foo/tmp/pwn', '3'),
    ),
    ['foo/', 'foo/tmp/', 'foo/tmp/pwn', 'tmp/', 'tmp/pwn'],
    ({ rootfs }) => {
      assert.equal(readFileSync(join(rootfs, 'foo/tmp/pwn'), 'utf8'), '3')
      assert.equal(readFileSync(join(rootfs, 'tmp/pwn'), 'utf8'), '2')
    },
  ),
  stays(
    'S-8: a directory deeper down becomes a symlink while files go there',
    tar(
      file('a/b/c/one'),
      symlink('a/b', '../../victim'),
      file('a/b/c/two'),
      file('a/b/authorized_keys', 'pwned'),
    ),
    ['a/', 'a/b -> ../../victim', 'victim/', 'victim/authorized_keys', 'victim/c/', 'victim/c/two'],
  ),
  stays(
    'S-8: a whiteout and a symlink take the place of a directory that was just used',
    [tar(file('d/old')), tar(file('d/new'), whiteout('d'), symlink('d', '../victim'), file('d/pwn'))],
    ['d -> ../victim', 'victim/', 'victim/pwn'],
  ),
  stays(
    'S-8: times of a directory that a symlink has replaced land nowhere',
    [
      ({ directory }) =>
        tar(dir('a/victim', { mtime: 7, mode: 0o777 }), file('a/victim/f'), symlink('a', directory)),
    ],
    undefined,
    sandbox => assert.deepEqual(sandbox.names(), [`a -> ${sandbox.directory}`]),
  ),
  refused('S-9: a loop of symlinks', tar(symlink('a', 'b'), symlink('b', 'a'), file('a/f'))),
  refused('S-9: a symlink to itself', tar(symlink('a', 'a'), file('a/f'))),
  refused('S-9: a symlink that grows as it is followed', tar(symlink('a', 'a/a'), file('a/f'))),
  refused(
    'S-9: symlinks that double with each step',
    tar(
      symlink('l0', '.'),
      ...Array.from({ length: 40 }, (_, step) => symlink(`l${step + 1}`, `l${step}/l${step}`)),
      file('l40/f'),
    ),
  ),
  refused('S-9: a chain of 300 symlinks', tar(...chainOfLinks(300), file('l0/f'))),
  stays(
    'S-9: a chain of 40 symlinks leads to its end',
    tar(dir('l40'), ...chainOfLinks(40), file('l0/f')),
    undefined,
    ({ rootfs }) => assert.equal(readFileSync(join(rootfs, 'l40/f'), 'utf8'), ''),
  ),
  stays(
    'S-10: var/run -> /run with a directory there',
    [tar(dir('run'), symlink('var/run', '/run')), tar(file('var/run/pwn'))],
    ['run/', 'run/pwn', 'var/', 'var/run -> /run'],
  ),
  stays(
    'S-10: var/run -> /run without one',
    [tar(symlink('var/run', '/run')), tar(file('var/run/pwn'))],
    ['run/', 'run/pwn', 'var/', 'var/run -> /run'],
  ),
  stays(
    'S-14: a relative escape before an absolute symlink',
    tar(symlink('a', '../../x'), symlink('x', '/etc'), file('a/pwn')),
    ['a -> ../../x', 'etc/', 'etc/pwn', 'x -> /etc'],
  ),
  // go-archive refuses it; as in a chroot, `..` ends at the root, so it leads nowhere else.
  stays(
    'S-14: a relative escape and an absolute symlink in one name',
    [
      tar(dir('target'), symlink('escape', '..'), symlink('absolute', '/target')),
      tar(file('escape/absolute/file')),
    ],
    ['absolute -> /target', 'escape -> ..', 'target/', 'target/file'],
  ),
  refused('S-35: 5,000 directories deep', tar(dir('a/'.repeat(5000)))),
  refused('S-35: deeper with each entry', tar(...[100, 200, 300].map(depth => dir('a/'.repeat(depth))))),
  refused('S-35: a hard link to something that deep', tar(file('f'), hardlink('h', `${'a/'.repeat(1500)}f`))),
  refused(
    'S-35: deeper with each symlink',
    tar(
      dir('a/'.repeat(200)),
      symlink('l', 'a/'.repeat(200)),
      dir(`l/${'b/'.repeat(200)}`),
      symlink('m', `l/${'b/'.repeat(200)}`),
      dir(`m/${'c/'.repeat(200)}`),
    ),
  ),
]
