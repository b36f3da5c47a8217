import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../../../src/errors.ts'
import type { FileFinisher } from '../../../../src/importer/layer/tree/file-finisher.ts'
import {
  applyToModel,
  type ModelTree,
  type Operation,
  RefusedByModel,
} from '../../../support/changeset-model.ts'
import { LateFinisher } from '../../../support/late-finisher.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import {
  blockDevice,
  dir,
  fifo,
  file,
  hardlink,
  opaque,
  symlink,
  tar,
  whiteout,
} from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

/** Few names, so that layers clash. */
const name = fc.constantFrom('a', 'b')
const directories = fc.array(name, { minLength: 1, maxLength: 3 }).map(names => names.join('/'))
/** Symlinks have names of their own, so that no path leads through one: the model follows none. */
const linkPath = fc
  .tuple(fc.array(name, { maxLength: 2 }), fc.constantFrom('x', 'y'))
  .map(([names, last]) => [...names, last].join('/'))
const leaf = fc.oneof({ weight: 4, arbitrary: directories }, { weight: 1, arbitrary: linkPath })
const mode = fc.constantFrom(0o644, 0o600, 0o755, 0o4755, 0o1777, 0o2750)
const mtime = fc.integer({ min: 0, max: 2 ** 31 })
const content = fc.constantFrom('', 'one', 'two')

const addition: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('file'), path: directories, mode, mtime, content }),
  fc.record({ kind: fc.constant('directory'), path: directories, mode, mtime }),
  fc.record({ kind: fc.constant('directory'), path: directories, mode, mtime }),
  fc.record({
    kind: fc.constant('symlink'),
    path: linkPath,
    mtime,
    content: fc.constantFrom('/a', '../b', 'gone'),
  }),
  fc.record({ kind: fc.constant('hardlink'), path: directories, target: directories }),
  fc.record({ kind: fc.constant('hardlink'), path: linkPath, target: leaf }),
)
const removal: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('whiteout'), path: leaf }),
  fc.record({ kind: fc.constant('opaque'), path: directories }),
)
const operation = fc.oneof({ weight: 3, arbitrary: addition }, { weight: 2, arbitrary: removal })
/** The first layer lays a ground that the others hide and cover. */
const layers = fc
  .tuple(
    fc.array(addition, { minLength: 2, maxLength: 6 }),
    fc.array(fc.array(operation, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 3 }),
  )
  .map(([first, others]) => [first, ...others])

function tarOf(operations: readonly Operation[]): Buffer {
  return tar(...operations.map(entryOf))
}

function entryOf(operation: Operation): Buffer {
  switch (operation.kind) {
    case 'file':
      return file(operation.path, operation.content, operation)
    case 'directory':
      return dir(operation.path, operation)
    case 'symlink':
      return symlink(operation.path, operation.content, operation)
    case 'hardlink':
      return hardlink(operation.path, operation.target)
    case 'device':
      return blockDevice(operation.path, operation)
    case 'fifo':
      return fifo(operation.path, operation)
    case 'whiteout':
      return whiteout(operation.path)
    case 'opaque':
      return opaque(operation.path)
  }
}

type Shown = Readonly<Record<string, unknown>>

function showModel(tree: ModelTree): Shown {
  const namesOf = (identity: number): string[] =>
    [...tree]
      .filter(([, node]) => node.identity === identity)
      .map(([path]) => path)
      .sort()
  return Object.fromEntries(
    [...tree].map(([path, { type, mode, mtime, content, identity }]) => [
      path,
      { type, mode, mtime, content, links: namesOf(identity) },
    ]),
  )
}

function showSandbox(sandbox: LayerSandbox): Shown {
  const entries = [...sandbox.tree()].filter(([path]) => path !== '.')
  return Object.fromEntries(
    entries.map(([path, { type, mode, mtime, target, links }]) => {
      const content = type === 'file' ? readFileSync(join(sandbox.rootfs, path), 'utf8') : target
      return [path, { type, mode, mtime: Number(mtime / 1_000_000_000n), content, links }]
    }),
  )
}

/** The tree after all layers, or after those before the first that is refused, with the number of that. */
function expected(all: readonly (readonly Operation[])[]): { tree: ModelTree; refused: number | undefined } {
  let tree: ModelTree = new Map()
  for (const [index, operations] of all.entries())
    try {
      tree = applyToModel(tree, operations)
    } catch (error) {
      if (!(error instanceof RefusedByModel)) throw error
      return { tree, refused: index }
    }
  return { tree, refused: undefined }
}

describe('applyLayer against the model of changesets', { skip, timeout: 120_000 }, () => {
  const agree = async (all: readonly (readonly Operation[])[], finisher?: FileFinisher): Promise<void> => {
    using sandbox = new LayerSandbox()
    sandbox.finisher = finisher
    const { tree, refused } = expected(all)
    for (const operations of all.slice(0, refused)) await sandbox.apply(tarOf(operations))
    assert.deepEqual(showSandbox(sandbox), showModel(tree))
    if (refused !== undefined)
      await assert.rejects(sandbox.apply(tarOf(all[refused] ?? [])), error => isDomainError(error, 'invalid'))
  }

  it('random layers on random layers give the same tree', async () => {
    await fc.assert(
      fc.asyncProperty(layers, all => agree(all)),
      { numRuns: 400 },
    )
  })

  it('also where files are finished as late as can be', async () => {
    const finisher = new LateFinisher()
    await fc.assert(
      fc.asyncProperty(layers, async all => {
        await agree(all, finisher)
        assert.deepEqual(finisher.taken, [], 'also after a refusal, nothing is open')
      }),
      { numRuns: 200 },
    )
  })
})
