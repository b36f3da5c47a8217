import fc from 'fast-check'
import {
  applyToModel,
  type ModelTree,
  type Operation,
  RefusedByModel,
} from '../../support/changeset-model.ts'
import { blockDevice, dir, fifo, file, hardlink, opaque, symlink, tar, whiteout } from '../../support/tar.ts'
import type { Tree } from '../../support/tree.ts'
import { Unexplained } from './scenes.ts'
import type { Subject } from './subject.ts'

/** Few names, so that layers clash; symlinks have names of their own most of the time, and are on the way often. */
const name = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'b') },
  { weight: 1, arbitrary: fc.constantFrom('l', 'm') },
)
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map(names => names.join('/'))
const linkPath = fc
  .tuple(fc.array(name, { maxLength: 2 }), fc.constantFrom('l', 'm'))
  .map(([names, last]) => [...names, last].join('/'))
const described = {
  path,
  mtime: fc.integer({ min: 0, max: 2 ** 31 }),
  owner: fc.constantFrom(0, 0, 0, 1000, 65534),
  mode: fc.constantFrom(0o644, 0o600, 0o755, 0o4755, 0o1777, 0o2750, 0o2755),
}
const content = fc.constantFrom('', 'one', 'two')
const target = fc.constantFrom(
  '/a',
  '/',
  'a',
  '../a',
  '../b',
  '..',
  'b/a',
  'gone',
  '/gone/a',
  'l',
  'm',
  '../../..',
  './b',
)

const addition: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('file'), ...described, content }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('directory'), ...described }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('symlink'), ...described, path: linkPath, content: target }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('hardlink'), path, target: fc.oneof(path, linkPath) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('device'), ...described }) },
)
/** Costs a process, so there are few. */
const node: fc.Arbitrary<Operation> = fc.record({ kind: fc.constant('fifo'), ...described })
const removal: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('whiteout'), path: fc.oneof(path, linkPath) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('opaque'), path: fc.oneof(path, linkPath) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('opaque'), path: fc.constant('') }) },
)
const operation = fc.oneof(
  { weight: 60, arbitrary: addition },
  { weight: 40, arbitrary: removal },
  { weight: 1, arbitrary: node },
)

/** Layers with whiteouts, which other programs do not know. The first lays a ground that the others hide and cover. */
export const changesets: fc.Arbitrary<readonly (readonly Operation[])[]> = fc
  .tuple(
    fc.array(addition, { minLength: 2, maxLength: 8 }),
    fc.array(fc.array(operation, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 }),
  )
  .map(([first, others]) => [first, ...others])

/**
 * Applies layers and compares the tree with what the model of changesets says; a layer that the model refuses has to be
 * refused.
 * @throws Unexplained
 */
export async function checkChangesets(
  layers: readonly (readonly Operation[])[],
  subject: Subject,
): Promise<void> {
  const { tree, refused } = modelOf(layers)
  const streams = layers.map(operations => tar(...operations.map(entryOf)))
  const applied = await subject.apply(streams.slice(0, refused))
  if (applied.refusal !== undefined)
    throw new Unexplained(
      `the model does not refuse it: ${applied.refusal.message}\n${describeChangesets(layers)}`,
    )
  const [ours, wanted] = [showTree(applied.tree), showModel(tree)]
  if (ours !== wanted)
    throw new Unexplained(`ours\n${ours}\nthe model's\n${wanted}\n${describeChangesets(layers)}`)
  if (refused === undefined) return
  const { refusal } = await subject.apply(streams.slice(0, refused + 1))
  if (refusal?.code !== 'invalid')
    throw new Unexplained(`layer ${refused} is not refused\n${describeChangesets(layers)}`)
}

export function describeChangesets(layers: readonly (readonly Operation[])[]): string {
  return layers
    .flatMap((operations, index) => [`layer ${index}`, ...operations.map(one => `  ${JSON.stringify(one)}`)])
    .join('\n')
}

/** The tree after all layers, or after those before the first that is refused, with the number of that. */
function modelOf(layers: readonly (readonly Operation[])[]): {
  tree: ModelTree
  refused: number | undefined
} {
  let tree: ModelTree = new Map()
  for (const [index, operations] of layers.entries())
    try {
      tree = applyToModel(tree, operations)
    } catch (error) {
      if (!(error instanceof RefusedByModel)) throw error
      return { tree, refused: index }
    }
  return { tree, refused: undefined }
}

function entryOf(one: Operation): Buffer {
  const owned = 'owner' in one ? { uid: one.owner ?? 0, gid: one.owner ?? 0 } : {}
  switch (one.kind) {
    case 'file':
      return file(one.path, one.content, { ...one, ...owned })
    case 'directory':
      return dir(one.path, { ...one, ...owned })
    case 'symlink':
      return symlink(one.path, one.content, { mtime: one.mtime, ...owned })
    case 'hardlink':
      return hardlink(one.path, one.target)
    case 'device':
      return blockDevice(one.path, { ...one, ...owned })
    case 'fifo':
      return fifo(one.path, { ...one, ...owned })
    case 'whiteout':
      return whiteout(one.path)
    case 'opaque':
      return opaque(one.path)
  }
}

function showModel(tree: ModelTree): string {
  const lines = [...tree].map(([path, { type, mode, owner, mtime, content, identity }]) => {
    const links = [...tree].filter(([, other]) => other.identity === identity).map(([other]) => other)
    return lineOf({
      path,
      type,
      mode,
      owner: `${owner}:${owner}`,
      mtime,
      size: content.length,
      target: type === 'symlink' ? content : '',
      links,
    })
  })
  return lines.sort().join('\n')
}

function showTree(tree: Tree): string {
  const lines = [...tree]
    .filter(([path]) => path !== '.')
    .map(([path, { type, mode, uid, gid, mtime, size, target: to, links }]) =>
      lineOf({
        path,
        type,
        mode,
        owner: `${uid}:${gid}`,
        mtime: Number(mtime / 1_000_000_000n),
        size: type === 'symlink' ? to.length : size,
        target: to,
        links,
      }),
    )
  return lines.sort().join('\n')
}

interface Line {
  readonly path: string
  readonly type: string
  readonly mode: number
  readonly owner: string
  readonly mtime: number
  readonly size: number
  readonly target: string
  readonly links: readonly string[]
}

function lineOf({ path, type, mode, owner, mtime, size, target: to, links }: Line): string {
  return `${path} ${type} ${mode.toString(8)} ${owner} @${mtime} ${size} ${to} = ${links.toSorted().join(' ')}`
}
