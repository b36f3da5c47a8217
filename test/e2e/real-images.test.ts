/**
 * Images as builders write them, pushed to a registry, imported by the program, and compared with what `umoci unpack`
 * makes of the same layout: all that can be seen of a tree, extended attributes included.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { emptyAttributes, refusedAttributes } from '../fixtures/attributes/handmade.ts'
import { fixtureImage } from '../fixtures/make-image.ts'
import {
  attributeImages,
  buildkitImage,
  type LayoutImage,
  realImagePrograms,
  smallFilesImage,
} from '../fixtures/real-images.ts'
import { skopeoCopy } from '../support/client-registry.ts'
import { type CompareTreesOptions, compareTrees } from '../support/compare-trees.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { runVarve } from '../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { listTree, type Tree } from '../support/tree.ts'
import { umociUnpack } from '../support/umoci.ts'
import { whyNoXattrs } from '../support/xattrs.ts'

/** The bench imports 100,000. */
const smallFiles = 20_000

describe('real images are imported as umoci unpacks them', {
  skip: await skipWithout(...realImagePrograms),
}, () => {
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let xattrs = false
  before(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    const why = whyNoXattrs(directory.path)
    xattrs = why === undefined
    if (why !== undefined) console.log(`compared without extended attributes: ${why}`)
  })
  after(async () => {
    await registry?.stop()
    await directory?.remove()
  })

  const chains = (): string => join(directory.path, 'chains')
  const nameOf = ({ tag }: LayoutImage): string => `${new URL(registry.url).host}/real/${tag}:1`

  /** Answers the last line that the command printed. */
  async function varve(command: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await runVarve([command, '--chains', chains(), '--json', ...args])
    assert.equal(code, 0, stderr)
    const text = command === 'import' ? (stdout.trimEnd().split('\n').at(-1) ?? '') : stdout
    return JSON.parse(text) as Record<string, unknown>
  }

  async function importImage(image: LayoutImage): Promise<string> {
    await skopeoCopy('--quiet', `oci:${image.layout}:${image.tag}`, `docker://${nameOf(image)}`)
    const { location } = await varve('import', nameOf(image))
    return join(String(location), 'root')
  }

  async function unpack({ layout, tag }: LayoutImage): Promise<Tree> {
    const root = await umociUnpack(layout, tag, join(directory.path, `bundle-${tag}`))
    return listTree(root, { xattrs })
  }

  async function assertSame(image: LayoutImage, more: CompareTreesOptions = {}): Promise<Tree> {
    const expected = await unpack(image)
    const root = await importImage(image)
    assert.deepEqual(compareTrees(listTree(root, { xattrs }), expected, { ...options, ...more }), [])
    return expected
  }

  /** Node sets times as seconds in a double, which is right to a quarter of a microsecond. */
  const options: CompareTreesOptions = { mtime: 'microseconds' }
  /** No layer has an entry for it, and umoci leaves it as it was made. */
  const undefinedRoot = { undefinedTimes: new Set(['.']) }

  it('a Debian with everything that a layer can do', async () => {
    const { layout, layers, undefinedTimes } = await fixtureImage()
    await assertSame({ layout, tag: layers.tag }, { undefinedTimes })
  })

  it('what BuildKit writes', async () => {
    const tree = await assertSame(await buildkitImage())
    if (xattrs) assert.equal(tree.get('usr/bin/capable')?.xattrs.length, 1)
    assert.equal(tree.has('srv/removed/1'), false)
  })

  it(`${smallFiles} small files in one layer`, async () => {
    const tree = await assertSame(await smallFilesImage(smallFiles), undefinedRoot)
    assert.equal([...tree.values()].filter(({ type }) => type === 'file').length, smallFiles)
  })

  describe('with file capabilities, access control lists and attributes of users', () => {
    let images: readonly LayoutImage[]
    before(async () => {
      images = await attributeImages()
    })
    const imageOf = (tag: string): LayoutImage => {
      const image = images.find(candidate => candidate.tag === tag)
      assert.ok(image !== undefined)
      return image
    }

    for (const tag of ['umoci', 'buildah'])
      it(`by ${tag}`, async () => {
        const tree = await assertSame(imageOf(tag), undefinedRoot)
        if (!xattrs) return
        const capability = /^security\.capability=0x0100000280000000/
        assert.ok(
          [...tree.values()].some(entry => entry.xattrs.some(one => /^security\.capability=/.test(one))),
        )
        assert.ok(!tree.get('usr/bin/newuidmap')?.xattrs.some(one => capability.test(one)))
      })

    it('by hand, save where umoci differs for a reason, and a clone has them too', async () => {
      const image = imageOf('handmade')
      const oracle = await unpack(image)
      const expected = xattrs ? withListedDifferences(oracle) : oracle
      const imported = await importImage(image)
      assert.deepEqual(compareTrees(listTree(imported, { xattrs }), expected, options), [])
      const { rootfs } = await varve('clone', nameOf(image), 'zone')
      assert.deepEqual(compareTrees(listTree(String(rootfs), { xattrs }), expected, options), [])
    })
  })
})

/** What Varve makes, by what umoci made. Fails when umoci does not differ as it is listed. */
function withListedDifferences(oracle: Tree): Tree {
  const expected = new Map(oracle)
  const change = (path: string, attribute: string, has: boolean): void => {
    const entry = expected.get(path)
    assert.equal(entry?.xattrs.includes(attribute), has, `umoci: ${path} ${attribute}`)
    const others = entry.xattrs.filter(other => other !== attribute)
    expected.set(path, { ...entry, xattrs: has ? others : [...others, attribute].sort() })
  }
  for (const [path, attribute] of refusedAttributes) change(path, attribute, true)
  for (const [path, attribute] of emptyAttributes) change(path, attribute, false)
  return expected
}
