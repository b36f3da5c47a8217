/** S-27 of layers.md 2.C: names are bytes. */
import assert from 'node:assert/strict'
import { file, gnuLong, hardlink, symlink, tar } from '../../../support/tar.ts'
import { type Attack, refused, stays } from './attack.ts'

/** One character for each byte, as `names()` shows them. */
const latin1 = (bytes: readonly number[]): string => Buffer.from(bytes).toString('latin1')
const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

const invalidOne = Buffer.from([0x61, 0xc3, 0x28])
const invalidTwo = Buffer.from([0x61, 0xa0, 0xa1])
/** The same letter, composed and decomposed. */
const composed = '\u00e9'
const decomposed = 'e\u0301'
const long = 'n'.repeat(255)

const byteNames: readonly (readonly [what: string, layer: Buffer])[] = [
  ['in the header', tar(file(invalidOne), file(invalidTwo))],
  [
    'in PAX headers',
    tar(file('x', '', { pax: { path: invalidOne } }), file('x', '', { pax: { path: invalidTwo } })),
  ],
  ['in GNU long names', tar(gnuLong('L', invalidOne), file('x'), gnuLong('L', invalidTwo), file('x'))],
]

export const nameAttacks: readonly Attack[] = [
  stays('S-27: latin1 bytes', tar(file(Buffer.from([0xe9, 0xff, 0x80]))), [latin1([0xe9, 0xff, 0x80])]),
  ...byteNames.map(([what, layer]) =>
    stays(
      `S-27: two sequences that are no UTF-8 stay two names, ${what}`,
      layer,
      [latin1([...invalidTwo]), latin1([...invalidOne])].sort(),
    ),
  ),
  stays(
    'S-27: targets of links are bytes as well',
    tar(
      file(invalidOne),
      symlink('s', 'x', { pax: { linkpath: invalidOne } }),
      hardlink('h', 'x', { pax: { linkpath: invalidOne } }),
    ),
    [latin1([...invalidOne]), 'h', `s -> ${latin1([...invalidOne])}`],
  ),
  ...[
    ['path', file('f', '', { pax: { path: 'a\0b' } })],
    ['linkpath', symlink('f', 'x', { pax: { linkpath: 'a\0b' } })],
    ['linkpath of a hard link', hardlink('f', 'x', { pax: { linkpath: 'x\0/../../canary' } })],
    ['key of an extended attribute', file('f', '', { pax: { 'SCHILY.xattr.user.a\0b': 'x' } })],
  ].map(([what, entry]) => refused(`S-27: a NUL in the PAX ${String(what)}`, tar(entry as Buffer))),
  stays('S-27: a newline, a tab and a bell', tar(file('a\nb\tc\u0007')), ['a\nb\tc\u0007']),
  stays('S-27: a component of 255 bytes', tar(file(`${long}/${long}`)), [`${long}/`, `${long}/${long}`]),
  refused('S-27: a component of 256 bytes', tar(file(`${long}n`))),
  refused('S-27: a component of 256 bytes on the way', tar(file(`${long}n/f`))),
  refused('S-27: a path of 5,000 bytes', tar(file('abcd/'.repeat(1000)))),
  stays('S-27: a file whose name ends in a slash is a directory', tar(file('d/'), file('d/f')), [
    'd/',
    'd/f',
  ]),
  refused('S-27: such a file with content', tar(file('d/', 'content'))),
  stays('S-27: slashes after and between names', tar(file('a//b///c'), symlink('l/', 'a')), [
    'a/',
    'a/b/',
    'a/b/c',
    'l -> a',
  ]),
  stays(
    'S-27: a backslash is a letter',
    tar(file('a\\b'), file('..\\..\\pwn'), file('C:\\pwn'), file('C:..')),
    ['..\\..\\pwn', 'C:..', 'C:\\pwn', 'a\\b'],
  ),
  stays(
    'S-27: .wh. inside a name is no whiteout',
    [tar(file('a'), file('b')), tar(file('x.wh.a'), file('.whb'), file('.wh.d/b'), file('wh.b'))],
    ['.wh.d/', '.wh.d/b', '.whb', 'a', 'b', 'wh.b', 'x.wh.a'],
  ),
  stays(
    'S-27: a letter composed and decomposed: both exist',
    tar(file(composed, '1'), file(decomposed, '2')),
    [utf8(composed), utf8(decomposed)].sort(),
    sandbox =>
      assert.notEqual(
        ...([...sandbox.tree().values()].slice(1).map(({ sha256 }) => sha256) as [string, string]),
      ),
  ),
  stays(
    'S-27: letters of both cases, ß and ss: all exist',
    tar(file('a'), file('A'), file('ß'), file('ss'), file('ﬁ'), file('fi')),
    ['A', 'a', 'fi', 'ss', utf8('ß'), utf8('ﬁ')].sort(),
  ),
]
