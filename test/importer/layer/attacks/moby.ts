/**
 * Cases of moby's go-archive (archive_test.go, archive_unix_test.go, diff_test.go) and of chrootarchive, built again by
 * our own builder under their names. go-archive refuses many symlinks that lead out; we resolve them as in a chroot,
 * so that `stays` there means that nothing left the root.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import {
  dir,
  endOfArchive,
  file,
  hardlink,
  opaque,
  pax,
  plainHeader,
  symlink,
  tar,
  whiteout,
} from '../../../support/tar.ts'
import { type Attack, refused, refusedUntouched, stays } from './attack.ts'
import { withNumber, withPrefix } from './odd-tar.ts'

const invalidHardlinks: readonly (readonly [what: string, ...entries: readonly Buffer[]])[] = [
  ['../victim/authorized_keys', hardlink('dotdot', '../victim/authorized_keys')],
  ['/../victim/authorized_keys', hardlink('slash-dotdot', '/../victim/authorized_keys')],
  ['a directory, then a file in it', hardlink('loophole', '../victim'), file('loophole/file')],
  [
    'a directory, then a symlink',
    hardlink('loophole', '../victim'),
    symlink('s', 'loophole/authorized_keys'),
  ],
  [
    'a directory, then a hard link',
    hardlink('loophole', '../victim'),
    hardlink('h', 'loophole/authorized_keys'),
  ],
  ['a directory, then a file over it', hardlink('loophole', '../victim'), file('loophole')],
]

const symlinks: readonly (readonly [
  what: string,
  names: readonly string[],
  ...entries: readonly Buffer[],
])[] = [
  ['up', ['dotdot -> ../victim/authorized_keys'], symlink('dotdot', '../victim/authorized_keys')],
  ['to /..', ['s -> /../victim/authorized_keys'], symlink('s', '/../victim/authorized_keys')],
  [
    'and a file behind it',
    ['loophole -> ../victim', 'victim/', 'victim/file'],
    symlink('loophole', '../victim'),
    file('loophole/file'),
  ],
  [
    'and a symlink to what is behind it',
    ['loophole -> ../victim', 's -> loophole/authorized_keys'],
    symlink('loophole', '../victim'),
    symlink('s', 'loophole/authorized_keys'),
  ],
  ['and a file over it', ['loophole'], symlink('loophole', '../victim'), file('loophole')],
  [
    'in a directory, and new directories behind it',
    ['dir/', 'dir/loophole -> ../../victim', 'victim/', 'victim/newdir/', 'victim/newdir/newfile'],
    symlink('dir/loophole', '../../victim'),
    file('dir/loophole/newdir/newfile'),
  ],
]

/** Layers one after the other, and what is there after the last. */
const whiteoutSteps: readonly (readonly [layer: Buffer, names: readonly string[]])[] = [
  [
    tar(
      ...[
        '.baz',
        'bar/bax',
        'baz',
        'foo/.abc',
        'foo/.bcd/a',
        'foo/cde/def',
        'foo/cde/efg',
        'foo/fgh',
        'foobar',
      ].map(name => file(name)),
      dir('bar/bay/'),
    ),
    [
      '.baz',
      'bar/',
      'bar/bax',
      'bar/bay/',
      'baz',
      'foo/',
      'foo/.abc',
      'foo/.bcd/',
      'foo/.bcd/a',
      'foo/cde/',
      'foo/cde/def',
      'foo/cde/efg',
      'foo/fgh',
      'foobar',
    ],
  ],
  [
    tar(
      file('.bay'),
      whiteout('baz'),
      dir('foo/'),
      file('foo/.bce'),
      opaque('foo'),
      dir('foo/cde/'),
      file('foo/cde/efg'),
    ),
    ['.bay', '.baz', 'bar/', 'bar/bax', 'bar/bay/', 'foo/', 'foo/.bce', 'foo/cde/', 'foo/cde/efg', 'foobar'],
  ],
  [
    tar(
      file('.bay'),
      whiteout('.baz'),
      whiteout('foobar'),
      dir('foo/'),
      file('foo/.abc'),
      whiteout('foo/cde'),
      dir('bar/'),
    ),
    ['.bay', 'bar/', 'bar/bax', 'bar/bay/', 'foo/', 'foo/.abc', 'foo/.bce'],
  ],
  [tar(file('.abc'), opaque(''), file('foobar')), ['.abc', 'foobar']],
]

/** Go 1.7 and older wrote owners beyond octal in GNU's way and long names in POSIX's, into one header. */
const bothForms = (name: string, prefix: string): Buffer =>
  withPrefix(withNumber(file(name, 'x'), 'uid', 0o10000001n), prefix)

export const mobyAttacks: readonly Attack[] = [
  ...['../victim/dotdot', '/../victim/slash-dotdot'].flatMap(name =>
    ['TestUntarInvalidFilenames', 'TestApplyLayerInvalidFilenames'].map(test =>
      refusedUntouched(`${test}: ${name}`, [tar(file('a')), tar(file(name))], ['a']),
    ),
  ),
  ...['..', '../pwned', '../../pwned'].map(name =>
    refusedUntouched(`TestUntarParentTraversalContained: ${name}`, tar(file(name, 'bad')), []),
  ),
  refusedUntouched('TestUntarSiblingPrefixContained', tar(hardlink('grab', '../rootfs-evil/f')), []),
  stays(
    'TestUntarHardlinkToSymlink',
    tar(symlink('symlink1', 'regfile'), hardlink('symlink2', 'symlink1'), file('regfile')),
    ['regfile', 'symlink1 -> regfile', 'symlink2 -> regfile'],
  ),
  ...invalidHardlinks.map(([what, ...entries]) =>
    refusedUntouched(`TestUntarInvalidHardlink, TestApplyLayerInvalidHardlink: ${what}`, tar(...entries), []),
  ),
  stays(
    'TestUntarAbsoluteHardlink',
    tar(file('usr/bin/perlbug', 'hello'), hardlink('usr/bin/perlthanks', '/usr/bin/perlbug')),
    undefined,
    sandbox =>
      assert.deepEqual(sandbox.tree().get('usr/bin/perlbug')?.links, [
        'usr/bin/perlbug',
        'usr/bin/perlthanks',
      ]),
  ),
  ...symlinks.map(([what, names, ...entries]) =>
    stays(`TestUntarInvalidSymlink, TestApplyLayerInvalidSymlink: ${what}`, tar(...entries), names),
  ),
  refused(
    'TestUntarInvalidSymlink, TestApplyLayerInvalidSymlink: and a hard link to what is behind it',
    tar(symlink('loophole', '../victim'), hardlink('h', 'loophole/authorized_keys')),
  ),
  stays(
    'TestUntarSymlinkBreakout',
    tar(
      dir('inner'),
      symlink('inner/go_up', '..'),
      symlink('inner/go_up/escape', '../victim'),
      file('inner/go_up/escape/newfile'),
    ),
    ['escape -> ../victim', 'inner/', 'inner/go_up -> ..', 'victim/', 'victim/newfile'],
  ),
  stays(
    'TestUntarUstarGnuConflict',
    tar(
      bothForms(
        'Plack::Middleware::LighttpdScriptNameFix.3pm',
        'root/.cpanm/work/1395823785.24209/Plack-1.0030/blib/man3',
      ),
    ),
    undefined,
    sandbox =>
      assert.ok(
        sandbox
          .tree()
          .has(
            'root/.cpanm/work/1395823785.24209/Plack-1.0030/blib/man3/Plack::Middleware::LighttpdScriptNameFix.3pm',
          ),
      ),
  ),
  stays('TestPrefixHeaderReadable', tar(bothForms('foo', 'a'.repeat(97))), undefined, sandbox =>
    assert.equal(sandbox.tree().get(`${'a'.repeat(97)}/foo`)?.uid, 0o10000001),
  ),
  stays('TestXGlobalNoParent', Buffer.concat([plainHeader('g', 'foo/bar'), endOfArchive]), []),
  stays('TestXGlobalNoParent, with records', tar(pax({ path: 'foo/bar' }, 'g')), []),
  ...[true, false].map(isThere =>
    stays(
      `TestUntarThroughAbsoluteSymlink, ${isThere ? 'existing' : 'missing'} target`,
      [
        tar(symlink('var/run', '/run'), ...(isThere ? [dir('run/existing')] : [])),
        tar(file('var/run/existing/non-existing/file', 'content')),
      ],
      undefined,
      ({ rootfs }) =>
        assert.equal(readFileSync(join(rootfs, 'run/existing/non-existing/file'), 'utf8'), 'content'),
    ),
  ),
  // go-archive refuses it. `..` at the root is the root, so nothing is hidden by what follows.
  stays(
    'TestUnpackRejectsRelativeEscapeBeforeAbsoluteSymlink',
    [
      tar(dir('target'), symlink('escape', '..'), symlink('absolute', '/target')),
      tar(file('escape/absolute/file')),
    ],
    ['absolute -> /target', 'escape -> ..', 'target/', 'target/file'],
  ),
  stays(
    'TestHardlinkSourceThroughAbsoluteSymlink',
    [
      tar(symlink('var/run', '/run')),
      tar(file('var/run/source', 'content'), hardlink('var/run/link', 'var/run/source')),
    ],
    undefined,
    sandbox => assert.deepEqual(sandbox.tree().get('run/link')?.links, ['run/link', 'run/source']),
  ),
  ...[0o022, 0o027, 0o077].map(mask =>
    stays(
      `TestImpliedDirectoryPermissions, umask ${mask.toString(8)}`,
      () => {
        process.umask(mask)
        return tar(
          file('deeply/nested/and/implied'),
          dir('explicit/', { mode: 0o644 }),
          dir('explicit/permissions/', { mode: 0o600 }),
          dir('explicit/permissions/specified/', { mode: 0o400 }),
          dir('explicit/permissions/umask/', { mode: 0o777 }),
          file('explicit/permissions/umask/file', '', { mode: 0o666 }),
        )
      },
      undefined,
      sandbox => {
        process.umask(0o022)
        const modes = [...sandbox.tree()].map(([path, { mode }]) => `${mode.toString(8)} ${path}`)
        assert.deepEqual(modes.slice(1), [
          '755 deeply',
          '755 deeply/nested',
          '755 deeply/nested/and',
          '644 deeply/nested/and/implied',
          '644 explicit',
          '600 explicit/permissions',
          '400 explicit/permissions/specified',
          '777 explicit/permissions/umask',
          '666 explicit/permissions/umask/file',
        ])
      },
    ),
  ),
  stays(
    'TestUnpackLayerCreatesImpliedDirectoriesThroughLowerLayerSymlink',
    [
      tar(dir('usr/'), dir('usr/lib/'), symlink('lib', 'usr/lib')),
      tar(file('lib/systemd/system/container.service', 'content')),
    ],
    [
      'lib -> usr/lib',
      'usr/',
      'usr/lib/',
      'usr/lib/systemd/',
      'usr/lib/systemd/system/',
      'usr/lib/systemd/system/container.service',
    ],
  ),
  ...whiteoutSteps.map(([, names], last) =>
    stays(
      `TestApplyLayerWhiteouts, layer ${last}`,
      whiteoutSteps.slice(0, last + 1).map(([layer]) => layer),
      names,
    ),
  ),
  stays(
    'TestUntarWithMaliciousSymlinks (CVE-2018-15664)',
    [({ directory }) => tar(symlink('safe', directory)), tar(file('safe/canary', 'pwn3d'))],
    undefined,
    ({ directory, rootfs }) => assert.equal(readFileSync(join(rootfs, directory, 'canary'), 'utf8'), 'pwn3d'),
  ),
  stays('TestChrootApplyDotDotFile', tar(file('..gitme')), ['..gitme']),
  stays(
    'TestChrootApplyEmptyArchiveFromSlowReader',
    () =>
      Readable.from(
        (async function* () {
          for (let part = 0; part < 10; part++) {
            await turn()
            yield Buffer.alloc(1024)
          }
        })(),
        { objectMode: false },
      ),
    [],
  ),
]
