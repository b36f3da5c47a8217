import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../../../src/errors.ts'
import { applyLayer } from '../../../../src/importer/layer/changeset/apply.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import type { DescriptorsOptions } from '../../../../src/importer/layer/tree/descriptors.ts'
import { compareTrees } from '../../../support/compare-trees.ts'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { dir, file, hardlink, symlink, tar } from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

/** Few names, so that directories, symlinks and files take each other's places, with paths through all of them. */
const name = fc.constantFrom('a', 'b', 'c')
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map(names => names.join('/'))
const target = fc.oneof(
  fc.constantFrom('/', '.', '..', '../..', 'a', '/a', '/b/c', '../b', 'c/..', '../victim'),
  path,
)
const mtime = fc.integer({ min: 1, max: 1000 })
const shown: fc.Arbitrary<readonly [shown: string, entry: Uint8Array]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(path, mtime)
      .map(([at, time]) => [`file ${at} ${time}`, file(at, at, { mtime: time })] as const),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(path, mtime)
      .map(
        ([at, time]) => [`dir ${at} ${time}`, dir(at, { mtime: time, mode: 0o700 + (time % 64) })] as const,
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(path, target, mtime)
      .map(([at, to, time]) => [`${at} -> ${to} ${time}`, symlink(at, to, { mtime: time })] as const),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(path, path).map(([at, to]) => [`${at} = ${to}`, hardlink(at, to)] as const),
  },
)
const entries = fc.array(shown, { minLength: 2, maxLength: 14 })

async function apply(
  sandbox: LayerSandbox,
  parts: readonly Uint8Array[],
  through: DescriptorsOptions = {},
): Promise<boolean> {
  const options = { limits: defaultLayerLimits }
  return await applyLayer(sandbox.rootfs, Readable.from([tar(...parts)]), options, through).then(
    () => true,
    (error: unknown) => {
      if (!isDomainError(error, 'invalid')) throw error
      return false
    },
  )
}

/** An applier for each entry, which can remember nothing. Returns how many entries there are before one is refused. */
async function applyOneByOne(sandbox: LayerSandbox, parts: readonly Uint8Array[]): Promise<number> {
  for (const [index, part] of parts.entries()) if (!(await apply(sandbox, [part]))) return index
  return parts.length
}

async function agree(parts: readonly Uint8Array[], through: DescriptorsOptions): Promise<void> {
  using trial = new LayerSandbox()
  const sound = await applyOneByOne(trial, parts)
  using uncached = new LayerSandbox()
  await applyOneByOne(uncached, parts.slice(0, sound))
  using cached = new LayerSandbox()
  assert.equal(await apply(cached, parts.slice(0, sound), through), true)
  // The roots themselves were made at different times.
  const undefinedTimes = new Set(['.'])
  assert.deepEqual(compareTrees(cached.tree(), uncached.tree(), { undefinedTimes }), [])
  if (sound === parts.length) return
  using refused = new LayerSandbox()
  assert.equal(await apply(refused, parts.slice(0, sound + 1), through), false)
}

describe('what an applier remembers of directories changes nothing (H8, CVE-2025-47290)', {
  skip,
  timeout: 280_000,
}, () => {
  for (const [title, through, numRuns] of [
    ['with all descriptors at hand', {}, 60],
    ['with three at a time', { maxOpen: 3 }, 100],
    ['where /proc/self/fd cannot be used', { throughDescriptors: false }, 40],
  ] as const)
    it(title, async () => {
      await fc.assert(
        fc.asyncProperty(entries, async list =>
          agree(
            list.map(([, part]) => part),
            through,
          ),
        ),
        { numRuns },
      )
    })

  it('S-8: a directory, a symlink, and a directory again', async () => {
    const parts = [
      dir('foo'),
      dir('foo/tmp'),
      file('foo/tmp/f', '1'),
      symlink('foo', '/'),
      file('foo/tmp/f', '2'),
      dir('foo'),
      dir('foo/tmp'),
      file('foo/tmp/f', '3'),
    ]
    for (const through of [{}, { maxOpen: 3 }, { throughDescriptors: false }]) await agree(parts, through)
  })
})
