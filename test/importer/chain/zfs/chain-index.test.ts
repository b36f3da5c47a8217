import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ChainIndex,
  isUnfinished,
  type Lineage,
  newestOf,
  readLineages,
} from '../../../../src/importer/chain/zfs/chain-index.ts'
import {
  chainSnapshot,
  type DatasetName,
  datasetTreeAt,
} from '../../../../src/importer/chain/zfs/dataset-names.ts'
import { formatFacts, parseListing } from '../../../../src/importer/chain/zfs/properties.ts'
import { type FakeLayer, layerOn } from '../../../support/fake-layers.ts'

const tree = datasetTreeAt('tank')
const first = `${tree.chains}/1111111111111111` as DatasetName
const second = `${tree.chains}/2222222222222222` as DatasetName
const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')

function lines(name: string, properties: Record<string, string>): string[] {
  return Object.entries(properties).map(pair => [name, ...pair, 'local'].join('\t'))
}

function snapshotLines(lineage: DatasetName, layer: FakeLayer, createtxg: number): string[] {
  const name = chainSnapshot(lineage, layer.chain)
  return lines(name, { ...formatFacts(layer.chain, layer.facts), createtxg: String(createtxg) })
}

function read(...text: readonly string[][]): Lineage[] {
  return readLineages(tree, parseListing(text.flat().join('\n')))
}

function lineage(dataset: DatasetName, ...layers: readonly FakeLayer[]): Lineage {
  const [found] = read(
    lines(dataset, { 'varve:role': 'lineage' }),
    ...layers.map((layer, index) => snapshotLines(dataset, layer, index + 1)),
  )
  assert.ok(found)
  return found
}

describe('reading lineages', () => {
  it('orders snapshots by the transaction that made them', () => {
    const [found] = read(
      lines(first, { 'varve:role': 'lineage' }),
      snapshotLines(first, top, 100),
      snapshotLines(first, bottom, 9),
      snapshotLines(first, middle, 20),
    )
    assert.deepEqual(
      found?.snapshots.map(({ chain }) => chain),
      [bottom.chain, middle.chain, top.chain],
    )
    assert.equal(found && newestOf(found)?.chain, top.chain)
  })

  it('sees neither datasets nor snapshots without our mark', () => {
    assert.deepEqual(read(lines(first, { 'varve:role': 'clone' }), snapshotLines(first, bottom, 1)), [])
    assert.deepEqual(read([`${first}\tvarve:role\tlineage\tinherited from ${tree.chains}`]), [])
    const [found] = read(
      lines(first, { 'varve:role': 'lineage' }),
      lines(`${first}@daily`, { createtxg: '1' }),
    )
    assert.deepEqual(found?.snapshots, [])
  })

  it('tells when a stranger has the newest snapshot', () => {
    const marked = lines(first, { 'varve:role': 'lineage' })
    const daily = (createtxg: string) => lines(`${first}@daily`, { createtxg })
    assert.equal(read(marked, daily('5'), snapshotLines(first, bottom, 4))[0]?.covered, true)
    assert.equal(read(marked, daily('3'), snapshotLines(first, bottom, 4))[0]?.covered, false)
  })

  it('takes a lineage that was begun and not ended for unfinished', () => {
    assert.ok(isUnfinished(lineage(first)))
    assert.ok(!isUnfinished(lineage(first, bottom)))
    assert.ok(isUnfinished({ ...lineage(first, bottom), unfinished: true }))
  })
})

describe('the index of chains', () => {
  it('finds one copy, the same whatever the order', () => {
    for (const order of [
      [first, second],
      [second, first],
    ] as const) {
      const index = new ChainIndex()
      for (const dataset of order) index.put(lineage(dataset, bottom))
      assert.equal(index.find(bottom.chain)?.location, chainSnapshot(first, bottom.chain))
      assert.equal(index.copies(bottom.chain).length, 2)
      assert.equal(index.snapshots().length, 1)
      index.delete(first)
      assert.equal(index.find(bottom.chain)?.location, chainSnapshot(second, bottom.chain))
      index.delete(second)
      assert.equal(index.find(bottom.chain), undefined)
    }
  })

  it('knows which chains are longer, and where a chain is', () => {
    const index = new ChainIndex()
    index.put(lineage(first, bottom, middle))
    assert.equal(index.longerThan(bottom.chain)?.chain, middle.chain)
    assert.equal(index.longerThan(middle.chain), undefined)
    const snapshot = index.find(middle.chain)
    assert.equal(snapshot && index.lineageOf(snapshot)?.dataset, first)
  })

  it('knows the diff ID of a blob as long as any layer of it is there', () => {
    const index = new ChainIndex()
    const { blob, diffId } = bottom.facts
    index.put(lineage(first, bottom, middle))
    index.put(lineage(second, bottom))
    index.put(lineage(second, bottom))
    assert.equal(index.diffIdOf(blob), diffId)
    index.delete(first)
    assert.equal(index.diffIdOf(blob), diffId)
    assert.equal(index.diffIdOf(middle.facts.blob), undefined)
    index.delete(second)
    assert.equal(index.diffIdOf(blob), undefined)
  })

  it('lets no older listing undo what has changed since it began', async () => {
    const index = new ChainIndex()
    index.put(lineage(first, bottom))
    await index.refresh(async () => {
      const listing = [lineage(first, bottom)]
      index.put(lineage(first, bottom, middle))
      index.put(lineage(second, bottom))
      return listing
    })
    assert.ok(index.find(middle.chain))
    assert.ok(index.has(second))
    await index.refresh(async () => [lineage(first, bottom)])
    assert.equal(index.find(middle.chain), undefined)
    assert.ok(!index.has(second))
  })
})
