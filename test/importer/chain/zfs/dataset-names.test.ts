import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import {
  asLineage,
  chainSnapshot,
  childOf,
  cloneDataset,
  datasetTreeAt,
  maxRootLength,
  newLineage,
} from '../../../../src/importer/chain/zfs/dataset-names.ts'
import { parseChainId } from '../../../../src/storage/chain-id.ts'
import { failsWith } from '../../../contract/chain-store/suite.ts'

describe('names of datasets', () => {
  const tree = datasetTreeAt('tank')

  it('puts a store below a pool, or at a dataset', () => {
    assert.equal(tree.root, 'tank/varve')
    assert.equal(tree.pool, 'tank')
    assert.equal(datasetTreeAt('tank/a/b').chains, 'tank/a/b/chains')
  })

  it('refuses what zfs or an option parser could misread', () => {
    for (const text of [
      '',
      '/',
      'tank/',
      '/tank',
      'tank//a',
      '-r',
      'tank/-r',
      'tank/..',
      'tank@a',
      'tank/a b',
      '0tank',
      'tank\n',
    ])
      assert.throws(() => datasetTreeAt(text), failsWith('invalid'), text)
  })

  it('leaves room for the longest name below it', () => {
    const root = `tank/${'x'.repeat(maxRootLength - 5)}`
    const longest = chainSnapshot(newLineage(datasetTreeAt(root)), parseChainId(`sha512:${'a'.repeat(128)}`))
    assert.equal(longest.length, 255)
    assert.ok(cloneDataset(datasetTreeAt(root), parseCloneName('n'.repeat(128))).length <= 255)
    assert.throws(() => datasetTreeAt(`${root}x`), failsWith('invalid'))
  })

  it('tells lineages from everything else', () => {
    const lineage = newLineage(tree)
    assert.equal(asLineage(tree, lineage), lineage)
    for (const name of [
      tree.chains,
      `${lineage}@x`,
      `${lineage}/x`,
      `${tree.chains}/home`,
      `${tree.clones}/0123456789abcdef`,
    ])
      assert.equal(asLineage(tree, name), undefined, name)
    assert.equal(childOf(tree.clones, 'tank/varve/clones/web'), 'web')
    assert.equal(childOf(tree.clones, 'tank/varve/clonesweb'), undefined)
  })
})
