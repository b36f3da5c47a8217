import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { drawHistory } from '../../src/cli/history-tree.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import type { LineageHistory, SnapshotHistory } from '../../src/importer/import-service.ts'
import { parseChainId } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'

const wide = { unicode: true, columns: 200 }

function snapshot(location: string, users: Partial<SnapshotHistory> = {}): SnapshotHistory {
  return {
    chainId: parseChainId(digestOf(Buffer.from(location))),
    location,
    diffId: parseDiffId(digestOf(Buffer.from(`diff of ${location}`))),
    entries: 7,
    bytes: 1000,
    usedBytes: 1536,
    createdAt: new Date('2026-11-20T12:34:56Z'),
    images: [],
    clones: [],
    published: [],
    ...users,
  }
}

const history: LineageHistory[] = [
  {
    dataset: 'tank/varve/chains/aaaa',
    unfinished: false,
    snapshots: [
      snapshot('a@1', { images: ['localhost:5000/base:1'] }),
      snapshot('a@2', {
        images: ['localhost:5000/app:1', 'localhost:5000/app:latest'],
        clones: [parseCloneName('web1'), parseCloneName('web2')],
        published: ['tank/0c3c7ff2-7b1e-5b4b-9a4f-1d0a3f2b9c8d'],
      }),
    ],
  },
  { dataset: 'tank/varve/chains/bbbb', origin: 'a@1', unfinished: false, snapshots: [snapshot('b@1')] },
  { dataset: 'tank/varve/chains/cccc', origin: 'b@1', unfinished: true, snapshots: [] },
  { dataset: 'tank/varve/chains/dddd', origin: 'gone@1', unfinished: false, snapshots: [snapshot('d@1')] },
]

describe('drawHistory', () => {
  it('draws lineages where they branch off, oldest snapshot first', () => {
    assert.equal(
      drawHistory(history, wide),
      `
tank/varve/chains/aaaa
├─ @e351959bb58d  1.5 KiB, 7 entries, 2026-11-20 12:34
│  ├─ image localhost:5000/base:1
│  └─ tank/varve/chains/bbbb
│     └─ @8af9947f7022  1.5 KiB, 7 entries, 2026-11-20 12:34
│        └─ tank/varve/chains/cccc (unfinished)
└─ @09841728342d  1.5 KiB, 7 entries, 2026-11-20 12:34
   ├─ image localhost:5000/app:1
   ├─ image localhost:5000/app:latest
   ├─ clone web1
   ├─ clone web2
   └─ published as tank/0c3c7ff2-7b1e-5b4b-9a4f-1d0a3f2b9c8d
tank/varve/chains/dddd (branches off gone@1)
└─ @2532478decc5  1.5 KiB, 7 entries, 2026-11-20 12:34
`.trim(),
    )
  })

  it('does with ASCII where the terminal has no more', () => {
    const names = { images: ['x/é:1'], clones: [parseCloneName('web')] }
    const drawn = drawHistory(
      [{ dataset: 'tank/a', unfinished: false, snapshots: [snapshot('a@1', names), snapshot('a@2')] }],
      { unicode: false, columns: 80 },
    )
    assert.equal(
      drawn,
      `
tank/a
|- @e351959bb58d  1.5 KiB, 7 entries, 2026-11-20 12:34
|  |- image x/?:1
|  \`- clone web
\`- @09841728342d  1.5 KiB, 7 entries, 2026-11-20 12:34
`.trim(),
    )
  })

  it('cuts what is too long, and what is too deep', () => {
    const deep = Array.from(
      { length: 100 },
      (_, depth): LineageHistory => ({
        dataset: `tank/varve/chains/${depth}`,
        ...(depth > 0 && { origin: `l${depth - 1}@1` }),
        unfinished: false,
        snapshots: [snapshot(`l${depth}@1`, { images: [`localhost:5000/${'long'.repeat(30)}:${depth}`] })],
      }),
    )
    for (const unicode of [true, false]) {
      const lines = drawHistory(deep, { unicode, columns: 60 }).split('\n')
      assert.equal(lines.length, 300)
      assert.ok(lines.every(line => line.length <= 60))
      for (const [depth, { dataset }] of deep.entries())
        assert.equal(
          lines.filter(line => line.endsWith(` ${dataset}`) || line === dataset).length,
          1,
          `${depth}`,
        )
    }
  })

  it('takes as many clones as there are, and as deep a history', () => {
    const clones = Array.from({ length: 150_000 }, (_, index) => parseCloneName(`web${index}`))
    const many = [{ dataset: 'tank/a', unfinished: false, snapshots: [snapshot('a@1', { clones })] }]
    assert.equal(drawHistory(many, wide).split('\n').length, clones.length + 2)
    const circle: LineageHistory[] = ['a', 'b'].map((name, index) => ({
      dataset: name,
      origin: `${index === 0 ? 'b' : 'a'}@1`,
      unfinished: false,
      snapshots: [snapshot(`${name}@1`)],
    }))
    assert.equal(drawHistory(circle, wide).split('\n').length, 4)
  })

  it('shows every lineage, snapshot, image and clone once, and names of strangers do nothing', () => {
    fc.assert(
      fc.property(forests, fc.boolean(), fc.integer({ min: 20, max: 120 }), (forest, unicode, columns) => {
        const users = (one: SnapshotHistory): number =>
          1 + one.images.length + one.clones.length + one.published.length
        const lines = drawHistory(forest, { unicode, columns }).split('\n')
        const expected = forest.reduce(
          (sum, { snapshots }) => sum + 1 + snapshots.reduce((inner, one) => inner + users(one), 0),
          0,
        )
        assert.equal(lines.length, expected)
        for (const line of lines) {
          assert.ok(Array.from(line).length <= columns)
          assert.match(line, unicode ? /^[^\p{Cc}\p{Zl}\p{Zp}]*$/u : /^[ -~]*$/)
        }
        const whole = drawHistory(forest, wide)
        for (const { clones } of forest.flatMap(({ snapshots }) => snapshots))
          for (const clone of clones)
            assert.equal(
              whole.split(`─ clone ${clone}\n`).length + Number(whole.endsWith(`─ clone ${clone}`)),
              2,
            )
      }),
    )
  })
})

/** Lineages that branch off any snapshot before them. */
const forests: fc.Arbitrary<LineageHistory[]> = fc
  .array(
    fc.record({
      name: fc.string({ unit: 'binary', maxLength: 30 }),
      origin: fc.option(fc.nat()),
      unfinished: fc.boolean(),
      snapshots: fc.array(
        fc.record({ images: fc.array(fc.string({ unit: 'binary' }), { maxLength: 2 }), clones: fc.nat(2) }),
        { maxLength: 4 },
      ),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map(drawn => {
    const locations: string[] = []
    return drawn.map(({ name, origin, unfinished, snapshots }, index) => {
      const from = origin === null ? undefined : locations[origin % Math.max(1, locations.length)]
      const ours = snapshots.map(({ images, clones }, place) =>
        snapshot(`${index}@${place}`, {
          images,
          clones: Array.from({ length: clones }, (_, clone) => parseCloneName(`c${index}-${place}-${clone}`)),
        }),
      )
      locations.push(...ours.map(({ location }) => location))
      return { dataset: name, origin: from, unfinished, snapshots: ours }
    })
  })
