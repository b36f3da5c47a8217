/**
 * umoci's TestUnpackEntryWhiteout and TestUnpackOpaqueWhiteout (oci/layer/tar_extract_test.go), built again by our own
 * builder: what of the upper layer survives its own whiteouts, and that nothing of the lower one does. umoci runs them
 * with the whiteouts last; a layer may as well have them first.
 */
import assert from 'node:assert/strict'
import { describeInEachPlace } from '../../../support/layer-places.ts'
import type { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { dir, fifo, file, opaque, symlink, tar, whiteout } from '../../../support/tar.ts'
import { type Attack, attackTests } from './attack.ts'

const mtime = 123
const orders = ['first', 'last'] as const

const hidden: readonly (readonly [name: string, path: string, kind: 'file' | 'directory'])[] = [
  ['FileInRoot', 'rootpath', 'file'],
  ['HiddenFileInRoot', '.hiddenroot', 'file'],
  ['FileInSubdir', 'some/path/file', 'file'],
  ['HiddenFileInSubdir', 'another/path/.hiddenfile', 'file'],
  ['DirInRoot', 'rootpath', 'directory'],
  ['HiddenDirInRoot', '.hiddenroot', 'directory'],
  ['DirInSubdir', 'some/path/dir', 'directory'],
  ['HiddenDirInSubdir', 'another/path/.hiddendir', 'directory'],
]

/** Hides one thing; its directory keeps its time, and the file that the same layer adds next to it stays. */
const plain: readonly Attack[] = hidden.flatMap(([name, path, kind]) =>
  orders.map((order): Attack => {
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
    const added = file(parent === '.' ? 'added' : `${parent}/added`)
    const inside = ['file1', 'file2', '.subdir/file3'].map(below => file(`${path}/${below}`, 'some value'))
    return {
      title: `Whiteout ${name}, ${order}`,
      layers: [
        tar(
          ...(kind === 'file' ? [file(path, 'some value')] : [dir(path), ...inside]),
          dir(parent, { mtime }),
        ),
        tar(...(order === 'first' ? [whiteout(path), added] : [added, whiteout(path)])),
      ],
      outcome: undefined,
      check: sandbox => {
        const tree = sandbox.tree()
        assert.equal(tree.has(path), false)
        assert.equal(tree.has(parent === '.' ? 'added' : `${parent}/added`), true)
        assert.equal(tree.get(parent)?.mtime, BigInt(mtime) * 1_000_000_000n)
      },
    }
  }),
)

/** One line of a table: `upper` things survive, `implied` ones stay because something upper is in them. */
type Line = readonly [path: string, what: 'file' | 'directory' | 'fifo' | `-> ${string}`, fate: Fate]
type Fate = 'upper' | 'lower' | 'implied'

const shadow = `${'../'.repeat(12)}etc/shadow`

const twoLevel = (dirFate: Fate, oneFate: Fate, otherFate: Fate): readonly Line[] => [
  ['file', 'file', oneFate],
  ['link', '-> ..', otherFate],
  ['badlink', '-> ./nothing', otherFate],
  ['dir', 'directory', dirFate],
  ['dir/file', 'file', oneFate],
  ['dir/link', '-> ../badlink', otherFate],
  ['dir/verybadlink', `-> ${shadow}`, oneFate],
  ['dir/verybadlink2', `-> /${shadow}`, otherFate],
]

const multiLevel = (upper: Fate): readonly Line[] => [
  ['level1_file', 'file', upper],
  ['level1_link', '-> ..', 'lower'],
  ['level1a', 'directory', upper],
  ['level1a/level2_file', 'file', 'lower'],
  ['level1a/level2_link', '-> ../../../', upper],
  ['level1a/level2a', 'directory', 'lower'],
  ['level1a/level2a/level3_fileA', 'file', 'lower'],
  ['level1a/level2a/level3_fileB', 'file', 'lower'],
  ['level1a/level2b', 'directory', upper],
  ['level1a/level2b/level3_fileA', 'file', upper],
  ['level1a/level2b/level3_fileB', 'file', 'lower'],
  ['level1a/level2b/level3', 'directory', 'lower'],
  ['level1a/level2b/level3/level4', 'directory', 'lower'],
  ['level1a/level2b/level3/level4', 'directory', 'lower'],
  ['level1a/level2b/level3_fileA', 'file', upper],
  ['level1b', 'directory', 'lower'],
  ['level1b/level2_fileA', 'file', 'lower'],
  ['level1b/level2_fileB', 'file', 'lower'],
  ['level1b/level2', 'directory', 'lower'],
  ['level1b/level2/level3_file', 'file', 'lower'],
]

const oneLevel = (links: Fate): readonly Line[] => [
  ['file', 'file', 'lower'],
  ['link', '-> ..', links],
  ['badlink', '-> ./nothing', links],
  ['fifo', 'fifo', 'lower'],
]

const tables: Readonly<Record<string, readonly Line[]>> = {
  EmptyDir: [],
  OneLevel: oneLevel('upper'),
  OneLevelNoUpper: oneLevel('lower'),
  TwoLevel: twoLevel('upper', 'upper', 'lower'),
  TwoLevelNoUpper: twoLevel('lower', 'lower', 'lower'),
  MultiLevel: multiLevel('upper'),
  MultiLevelNoUpper: multiLevel('lower'),
  // Even a directory that is in the lower layer only has to stay for what the upper one has in it.
  MissingUpperAncestor: [
    ['some', 'directory', 'implied'],
    ['some/dir', 'directory', 'implied'],
    ['some/dir/somewhere', 'file', 'upper'],
    ['another', 'directory', 'lower'],
    ['another/dir', 'directory', 'lower'],
    ['another/dir/somewhere', 'file', 'lower'],
  ],
  UpperWhiteout: [
    ['.wh.fileB', 'file', 'upper'],
    ['fileA', 'file', 'upper'],
    ['fileB', 'file', 'upper'],
    ['fileC', 'file', 'lower'],
    ['.wh.fileA', 'file', 'upper'],
    ['.wh.fileC', 'file', 'upper'],
  ],
  // A whiteout of a directory does not reach what its own layer has below.
  UpperDirWhiteout: [
    ['.wh.dir2', 'file', 'upper'],
    ['file', 'file', 'lower'],
    ['dir1', 'directory', 'upper'],
    ['dir1/file', 'file', 'upper'],
    ['dir1/link', '-> ../badlink', 'lower'],
    ['dir1/verybadlink', `-> ${shadow}`, 'upper'],
    ['dir1/verybadlink2', `-> /${shadow}`, 'lower'],
    ['.wh.dir1', 'file', 'upper'],
    ['dir2', 'directory', 'upper'],
    ['dir2/file', 'file', 'upper'],
    ['dir2/link', '-> ../badlink', 'lower'],
  ],
}

const top = 'test-subdir'

function entryOf([path, what]: Line): Buffer {
  const name = `${top}/${path}`
  if (what === 'file') return file(name, 'content')
  if (what === 'directory') return dir(name)
  return what === 'fifo' ? fifo(name) : symlink(name, what.slice('-> '.length))
}

function checkSurvivors(table: readonly Line[]): (sandbox: LayerSandbox) => void {
  return sandbox => {
    const survivors = table.filter(([path, , fate]) => fate !== 'lower' && !/(^|\/)\.wh\./.test(path))
    const expected = new Set(survivors.map(([path]) => `${top}/${path}`))
    assert.deepEqual([...sandbox.tree().keys()].sort(), ['.', top, ...expected].sort())
  }
}

const layered: readonly Attack[] = Object.entries(tables).flatMap(([name, table]) =>
  orders.map((order): Attack => {
    const upper = table.filter(([, , fate]) => fate === 'upper').map(entryOf)
    return {
      title: `OpaqueWhiteout ${name}, ${order}`,
      layers: [
        tar(dir(top), ...table.filter(([, , fate]) => fate !== 'upper').map(entryOf)),
        tar(...(order === 'first' ? [opaque(top), ...upper] : [...upper, opaque(top)])),
      ],
      outcome: undefined,
      check: checkSurvivors(table),
    }
  }),
)

/** The same with every plain whiteout before or after all content of its layer, not where the table has it. */
const moved: readonly Attack[] = ['UpperWhiteout', 'UpperDirWhiteout'].flatMap(name =>
  orders.map((order): Attack => {
    const table = tables[name] ?? []
    const upper = table.filter(([, , fate]) => fate === 'upper')
    const isMarker = ([path]: Line): boolean => path.startsWith('.wh.')
    const markers = upper.filter(isMarker).map(entryOf)
    const content = upper.filter(line => !isMarker(line)).map(entryOf)
    return {
      title: `${name} without an opaque one, all whiteouts ${order}`,
      layers: [
        tar(dir(top), ...table.filter(line => line[2] === 'lower').map(entryOf)),
        tar(...(order === 'first' ? [...markers, ...content] : [...content, ...markers])),
      ],
      outcome: undefined,
      check: sandbox => {
        const paths = [...sandbox.tree().keys()]
        for (const [path] of upper.filter(line => !isMarker(line)))
          assert.ok(paths.includes(`${top}/${path}`), path)
        for (const hiddenPath of ['fileC', 'dir1/link', 'dir1/verybadlink2', 'dir2/link'])
          assert.ok(!paths.includes(`${top}/${hiddenPath}`), hiddenPath)
      },
    }
  }),
)

describeInEachPlace("umoci's whiteouts", { timeout: 120_000 }, place =>
  attackTests(place, [...plain, ...layered, ...moved]),
)
