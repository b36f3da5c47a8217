import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { KnownDiffIds } from '../../src/importer/known-diff-ids.ts'
import { LayersAhead } from '../../src/importer/layers-ahead.ts'
import { parseImageName } from '../../src/storage/reference.ts'
import { Spool, type SpoolOptions } from '../../src/storage/spool/spool.ts'
import { openFilesBelow } from '../support/open-files.ts'
import { BlobEngine, type BlobScript, cutLine, layersOf, ScriptedSource } from '../support/scripted-layers.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const image = parseImageName('localhost:5000/a:1')
const blobs = [5000, 20_000, 0, 3000, 8000, 1].map(size => randomBytes(size))
const noChains = { diffIdsOf: () => Promise.resolve(new Map()) }

describe('LayersAhead', { timeout: 60_000 }, () => {
  let directory: TemporaryDirectory
  beforeEach(async () => {
    directory = await temporaryDirectory()
  })
  afterEach(async () => {
    assert.deepEqual(openFilesBelow(directory.path), [])
    await directory.remove()
  })

  const openSpool = (options: Partial<SpoolOptions> = {}): Promise<Spool> =>
    Spool.open({
      directory: directory.path,
      maxBytes: 100_000,
      downloads: 3,
      freeBytes: () => Promise.resolve(Number.POSITIVE_INFINITY),
      ...options,
    })

  interface Run {
    readonly source: ScriptedSource
    readonly engine: BlobEngine
    readonly spool: Spool
  }

  /** One import's worth of layers. @param before what happens before each layer is asked for. */
  async function applyAll(
    { source, engine, spool }: Run,
    which: readonly Buffer[],
    before: (index: number) => Promise<void> = async () => {},
    signal?: AbortSignal,
  ): Promise<void> {
    const parts = {
      source,
      engine,
      spool,
      // Only one method of the contract is used.
      diffIds: new KnownDiffIds(noChains as never),
      image,
      layers: layersOf(which),
    }
    await using ahead = new LayersAhead(parts, { signal })
    for (const index of which.keys()) {
      await before(index)
      await using opened = ahead.next()
      await opened.applyTo('/nowhere', { signal })
    }
  }

  async function runWith(
    scripts: ReadonlyMap<number, readonly BlobScript[]>,
    options: Partial<SpoolOptions> = {},
  ): Promise<Run & AsyncDisposable> {
    const spool = await openSpool(options)
    const source = new ScriptedSource(blobs, scripts)
    const engine = new BlobEngine()
    return {
      source,
      engine,
      spool,
      [Symbol.asyncDispose]: async () => {
        await spool[Symbol.asyncDispose]()
        await until(() => source.open === 0)
        assert.equal(engine.left, 0)
      },
    }
  }

  it('applies all layers in order, each downloaded once', async () => {
    await using run = await runWith(new Map())
    await applyAll(run, blobs)
    assert.deepEqual(run.engine.applied, blobs)
    assert.deepEqual(
      run.source.asked.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5],
    )
  })

  it('downloads later layers while an earlier one takes its time, so many at once', async () => {
    await using run = await runWith(new Map(), { downloads: 2 })
    await applyAll(run, blobs, async index => {
      if (index === 1) await until(() => run.source.open === 0 && run.source.asked.length === blobs.length)
    })
    assert.deepEqual(run.engine.applied, blobs)
    assert.ok(run.source.mostOpen <= 3, 'two ahead and the one whose turn it is')
  })

  it('opens the next ones before their turn', async () => {
    await using run = await runWith(new Map())
    await applyAll(run, blobs, async index => {
      if (index === 1) await until(() => run.engine.opened.length === 3)
    })
  })

  for (const [what, options] of [
    ['has no room', { maxBytes: 0 }],
    ['finds the disk full', { freeBytes: () => Promise.resolve(0) }],
  ] as const)
    it(`downloads each layer in its turn when the spool ${what}`, async () => {
      await using run = await runWith(new Map(), options)
      await applyAll(run, blobs)
      assert.deepEqual(run.engine.applied, blobs)
      assert.deepEqual(
        run.source.asked.filter(index => index !== 2),
        [0, 1, 3, 4, 5],
      )
    })

  it('asks once more for a layer whose download failed, in its turn', async () => {
    await using run = await runWith(
      new Map([
        [1, [{ after: 'fail', bytes: 7000 }, {}]],
        [3, [{ refuse: true }, {}]],
        [4, [{ after: 'end', bytes: 10 }, {}]],
      ]),
    )
    await applyAll(run, blobs, async index => {
      if (index === 1) await until(() => run.source.open === 0 && run.source.asked.length >= blobs.length)
    })
    assert.deepEqual(run.engine.applied, blobs)
    assert.deepEqual(
      run.source.asked.toSorted((a, b) => a - b),
      [0, 1, 1, 2, 3, 3, 4, 4, 5],
    )
  })

  it('fails with a layer whose download failed twice, when its turn comes', async () => {
    await using run = await runWith(new Map([[3, [{ after: 'fail', bytes: 10 }]]]))
    const running = applyAll(run, blobs, async index => {
      if (index === 1) await until(() => run.source.asked.includes(3) && run.source.open === 0)
    })
    await assert.rejects(running, cutLine)
    assert.deepEqual(run.engine.applied, blobs.slice(0, 3))
    assert.equal(run.source.asked.filter(index => index === 3).length, 2)
  })

  it('lets go of everything when an earlier layer fails', async () => {
    await using run = await runWith(
      new Map<number, readonly BlobScript[]>([
        [0, [{ after: 'fail', bytes: 4000 }]],
        [1, [{ after: 'stall', bytes: 10 }]],
        [4, [{ after: 'stall', bytes: 10 }]],
      ]),
    )
    await assert.rejects(applyAll(run, blobs), cutLine)
    assert.deepEqual(run.engine.applied, [])
  })

  it('lets go of everything when it is aborted', async () => {
    const controller = new AbortController()
    await using run = await runWith(new Map([[1, [{ after: 'stall', bytes: 10 }]]]))
    const running = applyAll(
      run,
      blobs,
      async index => {
        if (index === 1) setImmediate(() => controller.abort())
      },
      controller.signal,
    )
    await assert.rejects(running, { name: 'AbortError' })
    assert.deepEqual(run.engine.applied, blobs.slice(0, 1))
  })

  it('takes an image that has a layer twice', async () => {
    await using run = await runWith(new Map())
    const twice = [0, 1, 1, 0, 1].flatMap(index => blobs[index] ?? [])
    await applyAll(run, twice)
    assert.deepEqual(run.engine.applied, twice)
  })

  it('serves two imports from one spool', async () => {
    await using run = await runWith(new Map(), { maxBytes: 21_000 })
    const other: Run = { ...run, engine: new BlobEngine() }
    await Promise.all([applyAll(run, blobs), applyAll(other, blobs.toReversed())])
    assert.deepEqual(run.engine.applied, blobs)
    assert.deepEqual(other.engine.applied, blobs.toReversed())
  })

  it('applies everything in order, or fails with what failed, however things fall together', async () => {
    const script: fc.Arbitrary<BlobScript> = fc.record({
      bytes: fc.nat(20_000),
      chunk: fc.integer({ min: 100, max: 30_000 }),
      after: fc.constantFrom('fail', 'end'),
    })
    const fine: fc.Arbitrary<BlobScript> = fc.record({ chunk: fc.integer({ min: 100, max: 30_000 }) })
    const second = fc.oneof({ weight: 5, arbitrary: fine }, { weight: 1, arbitrary: script })
    const scripts = fc
      .array(fc.option(fc.tuple(fc.oneof(script, fine), second)), { minLength: 6, maxLength: 6 })
      .map(each => new Map(each.flatMap((pair, index) => (pair === null ? [] : [[index, pair] as const]))))
    await fc.assert(
      fc.asyncProperty(
        scripts,
        fc.integer({ min: 0, max: 40_000 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.nat(8), { minLength: 6, maxLength: 6 }),
        fc.option(fc.nat(40)),
        async (scripted, maxBytes, downloads, pauses, abortAfter) => {
          await using run = await runWith(scripted, { maxBytes, downloads })
          const controller = new AbortController()
          let ticks = 0
          const before = async (index: number): Promise<void> => {
            for (let left = pauses[index] ?? 0; left > 0; left -= 1) {
              await new Promise(resolve => setImmediate(resolve))
              if (ticks++ === abortAfter) controller.abort()
            }
          }
          const outcome = await applyAll(run, blobs, before, controller.signal).then(
            () => undefined,
            (error: unknown) => error,
          )
          if (outcome === undefined) assert.deepEqual(run.engine.applied, blobs)
          else assert.deepEqual(run.engine.applied, blobs.slice(0, run.engine.applied.length))
          for (const index of blobs.keys())
            assert.ok(run.source.asked.filter(asked => asked === index).length <= 2)
          if (scripted.size === 0 && abortAfter === null) assert.equal(outcome, undefined)
          if (outcome instanceof Error && outcome !== cutLine)
            assert.match(outcome.message, /another blob|aborted/)
        },
      ),
      { numRuns: 150 },
    )
  })
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setImmediate(resolve))
}
