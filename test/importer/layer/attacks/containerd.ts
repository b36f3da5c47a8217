/**
 * The cases of containerd's TestBreakouts (pkg/archive/tar_test.go), built again by our own builder under their
 * names. Where our outcome is another than containerd's, `difference` says why.
 */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { dir, file, hardlink, symlink, tar, whiteout } from '../../../support/tar.ts'
import type { Attack, AttackLayer } from './attack.ts'

interface Breakout extends Omit<Attack, 'outcome'> {
  readonly refused?: true
  readonly difference?: string
}

const etc = [dir('etc', { mode: 0o770 }), file('/etc/passwd', 'inside')]
const lower = tar(dir('/etc/'), file('/etc/passwd', 'inside'))

const contains =
  (path: string, content: string) =>
  ({ rootfs }: LayerSandbox): void =>
    assert.equal(readFileSync(join(rootfs, path), 'utf8'), content)

/** Both are names of one file, each as it is resolved inside the root. */
const sameFile =
  (first: string, second: string) =>
  ({ rootfs }: LayerSandbox): void =>
    assert.equal(statSync(join(rootfs, first)).ino, statSync(join(rootfs, second)).ino)

const links =
  (path: string, expected: readonly string[]) =>
  (sandbox: LayerSandbox): void =>
    assert.deepEqual(sandbox.tree().get(path)?.links, expected)

const passwdIsWhole = (sandbox: LayerSandbox): void =>
  assert.deepEqual(sandbox.names(), ['etc/', 'etc/passwd'])

const noParents =
  'we refuse ".." in a name instead of clamping it: no builder writes it, and readers disagree about it'

function breakout(
  title: string,
  layers: readonly AttackLayer[],
  check: (sandbox: LayerSandbox) => void,
): Breakout {
  return { title, layers, check }
}

function rejected(
  title: string,
  layers: readonly AttackLayer[],
  check: (sandbox: LayerSandbox) => void,
  difference?: string,
): Breakout {
  return { title, layers, check, refused: true, ...(difference === undefined ? {} : { difference }) }
}

export const breakouts: readonly Breakout[] = [
  breakout(
    'SymlinkAbsolute',
    [tar(dir('etc'), symlink('localetc', '/etc'), file('/localetc/unbroken', 'unbroken'))],
    contains('etc/unbroken', 'unbroken'),
  ),
  breakout(
    'SymlinkUpAndOut',
    [
      tar(
        dir('etc'),
        dir('dummy'),
        symlink('localetc', '/dummy/../etc'),
        file('/localetc/unbroken', 'unbroken'),
      ),
    ],
    contains('etc/unbroken', 'unbroken'),
  ),
  ...(
    [
      ['SymlinkMultipleAbsolute', '/dummy/etc'],
      ['SymlinkMultipleRelative', './dummy/etc'],
    ] as const
  ).map(([title, target]) =>
    breakout(
      title,
      [
        tar(
          dir('etc'),
          dir('dummy'),
          symlink('/dummy/etc', '/etc'),
          symlink('localetc', target),
          file('/dummy/etc/unbroken', 'unbroken'),
        ),
      ],
      contains('etc/unbroken', 'unbroken'),
    ),
  ),
  breakout(
    'SymlinkEmptyFile',
    [
      tar(
        dir('etc'),
        file('etc/emptied', 'notempty'),
        symlink('localetc', '/etc'),
        file('/localetc/emptied'),
      ),
    ],
    contains('etc/emptied', ''),
  ),
  ...(
    [
      ['HardlinkRelative', '../../etc'],
      ['HardlinkDownAndOut', '../downandout/../../etc'],
    ] as const
  ).map(([title, target]) =>
    breakout(
      title,
      [
        tar(
          ...etc,
          dir('breakouts'),
          dir('downandout'),
          symlink('breakouts/d1', target),
          hardlink('breakouts/mypasswd', '/breakouts/d1/passwd'),
        ),
      ],
      links('etc/passwd', ['breakouts/mypasswd', 'etc/passwd']),
    ),
  ),
  ...(
    [
      ['HardlinkAbsolute', '/etc'],
      ['HardlinkRelativeLong', '../../../../../../../etc'],
      ['HardlinkRelativeUpAndOut', 'upandout/../../../etc'],
    ] as const
  ).map(([title, target]) =>
    breakout(
      title,
      [tar(...etc, symlink('localetc', target), hardlink('localpasswd', '/localetc/passwd'))],
      links('etc/passwd', ['etc/passwd', 'localpasswd']),
    ),
  ),
  rejected(
    'HardlinkDirectRelative',
    [tar(...etc, hardlink('localpasswd', '../../../../../etc/passwd'))],
    passwdIsWhole,
    noParents,
  ),
  breakout(
    'HardlinkDirectAbsolute',
    [tar(...etc, hardlink('localpasswd', '/etc/passwd'))],
    links('etc/passwd', ['etc/passwd', 'localpasswd']),
  ),
  rejected(
    'SymlinkParentDirectory',
    [tar(...etc, symlink('..', '/etc/'), hardlink('localpasswd', '/etc/passwd'))],
    passwdIsWhole,
    noParents,
  ),
  rejected(
    'SymlinkEmptyFilename',
    [tar(...etc, symlink('', '/etc/'), hardlink('localpasswd', '/etc/passwd'))],
    passwdIsWhole,
    'containerd passes over an entry that is the root; that it is a symlink makes the layer hostile (CVE-2021-29136)',
  ),
  rejected(
    'SymlinkParentRelative',
    [tar(...etc, symlink('localetc/sub/..', '/etc/'), hardlink('/localetc/localpasswd', '/etc/passwd'))],
    passwdIsWhole,
    noParents,
  ),
  breakout(
    'SymlinkSlashEnded',
    [tar(...etc, dir('localetc/'), hardlink('/localetc/localpasswd', '/etc/passwd'))],
    links('etc/passwd', ['etc/passwd', 'localetc/localpasswd']),
  ),
  ...(
    [
      ['SymlinkOverrideDirectory', '/etc'],
      ['SymlinkOverrideDirectoryRelative', '../../etc'],
    ] as const
  ).map(([title, target]) =>
    breakout(
      title,
      [
        tar(dir('/etc/'), file('/etc/passwd', 'inside'), dir('/localetc/')),
        tar(symlink('localetc', target), hardlink('/localetc/localpasswd', '/etc/passwd')),
      ],
      links('etc/passwd', ['etc/localpasswd', 'etc/passwd']),
    ),
  ),
  breakout(
    'DirectoryOverrideSymlink',
    [
      tar(dir('/etc/'), file('/etc/passwd', 'inside'), symlink('localetc', '/etc')),
      tar(dir('/localetc/'), hardlink('/localetc/localpasswd', '/etc/passwd')),
    ],
    links('etc/passwd', ['etc/passwd', 'localetc/localpasswd']),
  ),
  breakout(
    'DirectoryOverrideSymlinkAndHardlink',
    [
      tar(
        dir('/etc/'),
        file('/etc/passwd', 'inside'),
        symlink('localetc', 'etc'),
        hardlink('/localetc/localpasswd', '/etc/passwd'),
      ),
      tar(dir('/localetc/'), file('/localetc/localpasswd', 'different')),
    ],
    sandbox => {
      contains('etc/passwd', 'inside')(sandbox)
      contains('localetc/localpasswd', 'different')(sandbox)
      links('etc/passwd', ['etc/localpasswd', 'etc/passwd'])(sandbox)
    },
  ),
  ...(
    [
      ['WhiteoutRootParent', '.wh...'],
      ['WhiteoutParent', 'etc/.wh...'],
      ['WhiteoutRoot', '.wh..'],
      ['WhiteoutCurrentDirectory', 'etc/.wh..'],
    ] as const
  ).map(([title, name]) => rejected(title, [lower, tar(file(name))], passwdIsWhole)),
  breakout(
    'WhiteoutSymlink',
    [
      tar(dir('/etc/'), file('/etc/passwd', 'all users'), symlink('localetc', '/etc')),
      tar(whiteout('localetc')),
    ],
    sandbox => {
      passwdIsWhole(sandbox)
      contains('etc/passwd', 'all users')(sandbox)
    },
  ),
  breakout(
    'WhiteoutSymlinkPath',
    [
      tar(
        dir('/etc/'),
        file('/etc/passwd', 'all users'),
        file('/etc/whitedout', 'ahhhh whiteout'),
        symlink('localetc', '/etc'),
      ),
      tar(whiteout('localetc/whitedout')),
    ],
    sandbox => assert.deepEqual(sandbox.names(), ['etc/', 'etc/passwd', 'localetc -> /etc']),
  ),
  breakout(
    'WhiteoutDirectoryName',
    [
      tar(dir('/etc/'), file('/etc/passwd', 'all users'), symlink('localetc', '/etc')),
      tar(file('.wh.etc/somefile', 'non-empty')),
    ],
    sandbox => {
      contains('etc/passwd', 'all users')(sandbox)
      contains('.wh.etc/somefile', 'non-empty')(sandbox)
    },
  ),
  breakout(
    'WhiteoutDeadSymlinkParent',
    [
      tar(dir('/etc/'), file('/etc/passwd', 'all users'), symlink('localetc', '/dne')),
      tar(whiteout('localetc/etc')),
    ],
    sandbox => assert.deepEqual(sandbox.names(), ['etc/', 'etc/passwd', 'localetc -> /dne']),
  ),
  rejected('WhiteoutRelativePath', [lower, tar(file('dne/../.wh.etc'))], passwdIsWhole, noParents),
  breakout(
    'SymlinkOverridePath',
    [
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
    ],
    contains('foo/tmp/pwn', '3'),
  ),
  breakout(
    'HardlinkSymlinkBeforeCreateTarget',
    [
      tar(
        dir('etc', { mode: 0o770 }),
        symlink('localpasswd', 'etc/passwd'),
        hardlink('localpasswd-dup', 'localpasswd'),
        file('/etc/passwd', 'after'),
      ),
    ],
    sameFile('localpasswd-dup', 'etc/passwd'),
  ),
  ...(
    [
      ['HardlinkSymlinkRelative', '../../../../../etc/passwd'],
      ['HardlinkSymlinkAbsolute', '/etc/passwd'],
    ] as const
  ).map(([title, target]) =>
    breakout(
      title,
      [tar(...etc, symlink('passwdlink', target), hardlink('localpasswd', '/passwdlink'))],
      sandbox => {
        links('localpasswd', ['localpasswd', 'passwdlink'])(sandbox)
        assert.equal(sandbox.tree().get('localpasswd')?.target, target)
        links('etc/passwd', ['etc/passwd'])(sandbox)
      },
    ),
  ),
  breakout(
    'HardlinkSymlinkChmod',
    [
      ({ directory }) =>
        tar(
          symlink(join(directory, 'victim/also'), join(directory, 'canary')),
          hardlink('sketchylink', join(directory, 'victim/also'), { mode: 0o777 }),
        ),
    ],
    sandbox => assert.equal(sandbox.tree().get('sketchylink')?.type, 'symlink'),
  ),
]

/** All that TestBreakouts has, so that none is lost here. */
export const breakoutNames =
  'SymlinkAbsolute SymlinkUpAndOut SymlinkMultipleAbsolute SymlinkMultipleRelative SymlinkEmptyFile HardlinkRelative HardlinkDownAndOut HardlinkAbsolute HardlinkRelativeLong HardlinkRelativeUpAndOut HardlinkDirectRelative HardlinkDirectAbsolute SymlinkParentDirectory SymlinkEmptyFilename SymlinkParentRelative SymlinkSlashEnded SymlinkOverrideDirectory SymlinkOverrideDirectoryRelative DirectoryOverrideSymlink DirectoryOverrideSymlinkAndHardlink WhiteoutRootParent WhiteoutParent WhiteoutRoot WhiteoutCurrentDirectory WhiteoutSymlink WhiteoutSymlinkPath WhiteoutDirectoryName WhiteoutDeadSymlinkParent WhiteoutRelativePath SymlinkOverridePath HardlinkSymlinkBeforeCreateTarget HardlinkSymlinkRelative HardlinkSymlinkAbsolute HardlinkSymlinkChmod'.split(
    ' ',
  )
