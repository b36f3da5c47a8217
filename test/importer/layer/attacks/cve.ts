/**
 * Cases of CVEs of other readers of archives (layers.md 2.A) that no sequence of 2.C has as it was found, on top of the
 * table that says which test stands for which CVE.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dir, file, hardlink, pax, paxBytes, plainHeader, symlink, tar } from '../../../support/tar.ts'
import { type Attack, refused, refusedUntouched, stays } from './attack.ts'

/** Directories whose real path is near PATH_MAX, with a short path of symlinks beside it. */
function longAndShort(): { readonly entries: Buffer[]; readonly short: string } {
  const long = 'd'.repeat(247)
  const steps = 'abcdefghijklmnop'.split('')
  const entries = steps.flatMap((step, index) => {
    const above = steps.slice(0, index).join('/')
    const at = above === '' ? '' : `${above}/`
    return [dir(`${at}${long}`), symlink(`${at}${step}`, long)]
  })
  return { entries, short: steps.join('/') }
}

const { entries: longEntries, short } = longAndShort()
const upAgain = '../'.repeat(16)

export const cveAttacks: readonly Attack[] = [
  refused('CVE-2018-20834: a hard link to a file outside, then a file of its name', [
    ({ directory }) => tar(hardlink('x', join(directory, 'canary')), file('x', 'pwned')),
  ]),
  stays(
    'CVE-2014-6407: a hard link to a symlink, and a file behind it',
    tar(symlink('s', '../canary'), hardlink('h', 's'), file('h/x')),
    ['canary/', 'canary/x', 'h -> ../canary', 's -> ../canary'],
  ),
  stays(
    'CVE-2021-32803: a directory, a symlink in its place, a file in it',
    tar(dir('d'), symlink('d', '../victim'), file('d/authorized_keys', 'pwned')),
    ['d -> ../victim', 'victim/', 'victim/authorized_keys'],
  ),
  stays(
    'CVE-2021-32804: more than one slash before an absolute name',
    [({ directory }) => tar(file(`///${directory}/canary`, 'pwned'))],
    undefined,
    ({ directory, rootfs }) => assert.equal(readFileSync(join(rootfs, directory, 'canary'), 'utf8'), 'pwned'),
  ),
  stays(
    'CVE-2021-37701: a directory and a symlink whose names differ by a slash and a backslash',
    tar(dir('a\\x'), dir('a'), symlink('a/x', '../../victim'), file('a\\x/f'), file('a/x/pwn')),
    ['a/', 'a/x -> ../../victim', 'a\\x/', 'a\\x/f', 'victim/', 'victim/pwn'],
  ),
  stays(
    'CVE-2021-37712, CVE-2026-23950: a directory and a symlink whose names some file systems take for one',
    tar(
      dir('caf\u00e9'),
      symlink('cafe\u0301', '../victim'),
      file('caf\u00e9/pwn'),
      dir('ß'),
      symlink('ss', '../victim'),
      file('ß/pwn'),
    ),
    undefined,
    sandbox =>
      assert.equal(
        sandbox.names().some(name => name.startsWith('victim')),
        false,
      ),
  ),
  stays('CVE-2021-37713: names of drives', tar(file('C:../pwn2'), file('C:\\..\\pwn')), [
    'C:../',
    'C:../pwn2',
    'C:\\..\\pwn',
  ]),
  refused('CVE-2026-23745: an absolute hard link', [
    ({ directory }) => tar(hardlink('x', join(directory, 'canary'))),
  ]),
  refusedUntouched(
    'CVE-2026-24842: a hard link in a directory, up and out',
    tar(hardlink('a/b/x', '../../canary')),
    [],
  ),
  refused('CVE-2026-26960: a hard link through a chain of symlinks', [
    tar(dir('a/b'), symlink('a/b/up', '..'), symlink('a/b/c', 'up/..'), symlink('out', 'a/b/c/..')),
    tar(hardlink('h', 'out/canary')),
  ]),
  refused('CVE-2026-29786: a hard link to a name of a drive', tar(hardlink('h', 'C:../canary'))),
  stays('CVE-2026-31802: a symlink to a name of a drive', tar(symlink('s', 'C:../../victim'), file('x')), [
    's -> C:../../victim',
    'x',
  ]),
  stays(
    'CVE-2024-12905, CVE-2025-48387: a symlink to a sibling, and a directory through it',
    [tar(symlink('s', '../rootfs-evil')), tar(dir('s/d', { mode: 0o777 }))],
    ['rootfs-evil/', 'rootfs-evil/d/', 's -> ../rootfs-evil'],
  ),
  stays(
    "CVE-2025-59343: a symlink to a sibling by the root's own path",
    [({ rootfs }) => tar(symlink('s', `${rootfs}-evil`)), tar(file('s/f', 'pwned'))],
    undefined,
    ({ rootfs }) => assert.equal(readFileSync(join(rootfs, `${rootfs}-evil`, 'f'), 'utf8'), 'pwned'),
  ),
  refused('CVE-2016-6321: a name with .. after its beginning', tar(file('etc/motd/../etc/shadow', 'pwned'))),
  refused('CVE-2007-4559: a name with ..', tar(file('../../../../../../../../etc/pwn'))),
  refused('CVE-2025-4138, CVE-2025-4517: names beyond PATH_MAX behind short symlinks', [
    tar(
      ...longEntries,
      symlink(`${short}/${'l'.repeat(254)}`, upAgain),
      symlink('escape', `${short}/${'l'.repeat(254)}/../../../..`),
      hardlink('flag', 'escape/canary'),
    ),
  ]),
  stays(
    'CVE-2025-4330: a symlink of that kind that leads out as the host sees it',
    tar(...longEntries, symlink('escape', `${short}/${upAgain}../victim`), file('escape/pwn')),
    undefined,
    ({ rootfs }) => assert.equal(readFileSync(join(rootfs, 'victim/pwn'), 'utf8'), ''),
  ),
  refused('CVE-2025-4435: what is refused is not passed over, and ends the layer', [
    tar(file('a')),
    tar(file('../pwn'), file('b')),
  ]),
  refused('CVE-2025-8194: a size below zero', tar(pax({ size: '-512' }), file('f'), file('g'))),
  stays(
    'CVE-2026-33055: a PAX size before a directory of size 0',
    tar(pax({ size: '0' }), dir('d'), file('f', 'content')),
    ['d/', 'f'],
  ),
  {
    title: 'GHSA-fp55-jw48-c537: a PAX size does not reach the entry after its own',
    layers: [tar(pax({ size: '7' }), file('f', 'content'), plainHeader('0', 'g'), file('h', 'x'))],
    outcome: ['f', 'g', 'h'],
  },
  stays(
    'node-tar 7.5.16: a PAX size is not that of the PAX header after it',
    tar(pax({ size: '4096' }), paxBytes(Buffer.from('12 mtime=12\n')), dir('d')),
    ['d/'],
    sandbox => assert.equal(sandbox.tree().get('d')?.mtime, 12_000_000_000n),
  ),
  stays(
    'CVE-2021-41089: modes of what is above the root',
    tar(dir('./', { mode: 0o700 }), dir('/', { mode: 0o777 }), dir('./.')),
    [],
  ),
]
