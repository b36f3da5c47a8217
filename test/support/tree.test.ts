import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { compareTrees } from './compare-trees.ts'
import { skipWithout } from './programs.ts'
import { listTree } from './tree.ts'
import { whyNoXattrs } from './xattrs.ts'

describe('trees', () => {
  let parent = ''
  let left = ''
  let right = ''
  before(() => {
    parent = mkdtempSync(join(tmpdir(), 'varve-tree-'))
    left = join(parent, 'left')
    right = join(parent, 'right')
  })
  after(() => rmSync(parent, { recursive: true }))
  beforeEach(() => {
    for (const root of [left, right]) {
      rmSync(root, { recursive: true, force: true })
      populate(root)
    }
  })

  const difference = (): string[] => compareTrees(listTree(right), listTree(left))

  it('agree when all that can be seen is the same', () => {
    assert.deepEqual(difference(), [])
  })

  it('list types, content, links and names that are not UTF-8', () => {
    const tree = listTree(left)
    assert.deepEqual([...tree.keys()], ['.', 'a', 'a/b', 'a/c', 'file', 'link', 'odd\xff'])
    assert.deepEqual(tree.get('a/b')?.links, ['a/b', 'a/c'])
    assert.equal(tree.get('file')?.sha256.length, 64)
    assert.equal(tree.get('link')?.target, 'a/b')
    assert.equal(tree.get('file')?.mtime, 1_000_000_000_500_000_000n)
  })

  const changes: Readonly<Record<string, [change: () => void, found: RegExp]>> = {
    'a missing name': [() => rmSync(join(right, 'file')), /^"file" is missing$/],
    'a name too many': [() => writeFileSync(join(right, 'more'), ''), /^"more" should not be there$/],
    'other content': [() => rewrite(join(right, 'file'), 'abd'), /^"file": sha256 is /],
    'another size': [() => rewrite(join(right, 'file'), 'abcd'), /^"file": size is 4, expected 3$/m],
    'another mode': [() => chmodSync(join(right, 'file'), 0o4644), /^"file": mode is 4644, expected 0644$/],
    'another time, by a microsecond': [
      () => utimesSync(join(right, 'file'), 0, 1_000_000_000.500_001),
      /^"file": mtime is 1000000000\.50000\d+, expected 1000000000\.500000000$/,
    ],
    'another link target': [
      () => {
        rmSync(join(right, 'link'))
        symlinkSync('a/c', join(right, 'link'))
        lutimesSync(join(right, 'link'), 0, 1_000_000_000)
      },
      /^"link": target is "a\/c", expected "a\/b"$/,
    ],
    'a hard link that became a file of its own': [
      () => {
        rmSync(join(right, 'a/c'))
        copyFileSync(join(right, 'a/b'), join(right, 'a/c'))
        utimesSync(join(right, 'a/c'), 0, 1_000_000_000)
      },
      /^"a\/b": links is "a\/b", expected "a\/b" "a\/c"$/m,
    ],
    'another type': [
      () => {
        rmSync(join(right, 'file'))
        mkdirSync(join(right, 'file'))
      },
      /^"file": type is directory, expected file$/m,
    ],
  }
  for (const [name, [change, found]] of Object.entries(changes))
    it(`differ by ${name}`, () => {
      change()
      settle(right)
      assert.match(difference().join('\n'), found)
    })

  it('differ by an extended attribute, where they are looked at', async context => {
    const reason = (await skipWithout('getfattr')) || whyNoXattrs(parent)
    if (reason) return context.skip(reason)
    const odd = join(right, 'a/odd \\ näme\n')
    writeFileSync(odd, '')
    execFileSync('setfattr', ['-n', 'user.a=b', '-v', '0x000aff', odd])
    execFileSync('setfattr', ['-h', '-n', 'user.empty', right])
    assert.deepEqual(listTree(right).get('.')?.xattrs, [])
    const tree = listTree(right, { xattrs: true })
    assert.deepEqual(tree.get('.')?.xattrs, ['user.empty=0x'])
    assert.deepEqual(tree.get('file')?.xattrs, [])
    const name = Buffer.from('a/odd \\ näme\n').toString('latin1')
    assert.deepEqual(tree.get(name)?.xattrs, ['user.a=b=0x000aff'])
    rmSync(odd)
    settle(right)
    const found = compareTrees(listTree(right, { xattrs: true }), listTree(left, { xattrs: true }))
    assert.deepEqual(found, ['".": xattrs is "user.empty=0x", expected '])
  })

  it('agree where the caller does not care', () => {
    utimesSync(join(right, 'file'), 0, 1_000_000_000.9)
    chmodSync(join(right, 'a/b'), 0)
    const found = compareTrees(listTree(right), listTree(left), {
      mtime: 'seconds',
      except: path => path.startsWith('a/'),
    })
    assert.deepEqual(found, [])
    utimesSync(join(right, 'file'), 0, 5)
    const options = { undefinedTimes: new Set(['file']), except: (path: string) => path.startsWith('a/') }
    assert.deepEqual(compareTrees(listTree(right), listTree(left), options), [])
  })

  it('are reported within bounds', () => {
    const found = compareTrees(new Map(), listTree(left), { limit: 2 })
    assert.deepEqual(found, ['"." is missing', '"a" is missing', '… and 5 more'])
  })
})

function populate(root: string): void {
  mkdirSync(join(root, 'a'), { recursive: true })
  writeFileSync(join(root, 'a/b'), 'linked')
  linkSync(join(root, 'a/b'), join(root, 'a/c'))
  writeFileSync(join(root, 'file'), 'abc')
  writeFileSync(Buffer.concat([Buffer.from(`${root}/odd`), Buffer.of(0xff)]), '')
  symlinkSync('a/b', join(root, 'link'))
  for (const path of ['a/b', 'file']) utimesSync(join(root, path), 0, 1_000_000_000.5)
  utimesSync(Buffer.concat([Buffer.from(`${root}/odd`), Buffer.of(0xff)]), 0, 1_000_000_000)
  lutimesSync(join(root, 'link'), 0, 1_000_000_000)
  settle(root)
}

/** Directories take the time of each change in them, which is not what these tests are about. */
function settle(root: string): void {
  for (const path of ['a', '.']) utimesSync(join(root, path), 0, 1_000_000_000)
}

function rewrite(path: string, content: string): void {
  writeFileSync(path, content)
  utimesSync(path, 0, 1_000_000_000.5)
}
