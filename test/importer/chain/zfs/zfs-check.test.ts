import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { checkZfs } from '../../../../src/importer/chain/zfs/zfs-check.ts'
import { tryStore } from '../../../../src/importer/chain/zfs/zfs-trial.ts'
import { failsWith } from '../../../contract/chain-store/suite.ts'
import { skipWithout } from '../../../support/programs.ts'
import { runVarve } from '../../../support/run-varve.ts'
import { createPool, patientOnFuse, storeLeftovers, type TestPool, zfs } from '../../../support/zfs.ts'

describe('checking a pool', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  before(async () => {
    pool = await createPool()
  })
  after(() => pool.destroy())

  const found = async (dataset: string) => {
    const { findings, isUsable } = await checkZfs({ dataset })
    return { isUsable, ...Object.fromEntries(findings.map(({ name, result }) => [name, result])) }
  }

  it('finds what is there, and changes nothing', async () => {
    const before = await zfs('list', '-H', '-r', '-t', 'all', '-o', 'name', pool.name)
    const { dataset, findings, isUsable } = await checkZfs({ dataset: pool.name })
    assert.equal(await zfs('list', '-H', '-r', '-t', 'all', '-o', 'name', pool.name), before)
    assert.deepEqual([dataset, isUsable], [`${pool.name}/varve`, true])
    const foundOf = (name: string) => findings.find(finding => finding.name === name)?.found
    assert.equal(foundOf('pool health'), 'ONLINE')
    assert.equal(foundOf('store'), 'none yet')
    assert.equal(foundOf('holds'), 'yes')
    for (const { name, found, consequence } of findings) assert.ok(name && found && consequence, name)
  })

  it('sees what is in the way', async () => {
    await zfs('create', `${pool.name}/foreign`)
    assert.deepEqual(pick(await found(`${pool.name}/foreign`), 'isUsable', 'store'), [false, 'problem'])
    await zfs(
      'create',
      '-o',
      'mountpoint=none',
      '-o',
      'varve:role=root',
      '-o',
      'utf8only=on',
      `${pool.name}/bad`,
    )
    const bad = await found(`${pool.name}/bad`)
    assert.deepEqual(pick(bad, 'isUsable', 'store', 'utf8only', 'mounting'), [
      false,
      'ok',
      'problem',
      'problem',
    ])
    await assert.rejects(checkZfs({ dataset: `${pool.name}no` }), failsWith('not_found'))
    await assert.rejects(checkZfs({ dataset: 'a@b' }), failsWith('invalid'))
  })

  it('tries everything out, removes what a killed trial has left, and leaves nothing', async () => {
    const store = await ZfsChainStore.open({ dataset: pool.name, patience: patientOnFuse })
    for (const _ of [1, 2])
      assert.deepEqual(
        (await tryStore(store)).map(({ failure }) => failure),
        [undefined, undefined, undefined, undefined],
      )
    assert.deepEqual(await storeLeftovers(pool), [])
    assert.deepEqual(pick(await found(pool.name), 'isUsable', 'store'), [true, 'ok'])
  })

  it('is a command that prints a table or JSON, and fails when there is a problem', async () => {
    const table = await runVarve(['zfs', 'check', pool.name])
    assert.equal(table.code, 0, table.stderr)
    assert.match(table.stdout, /^CHECK +FOUND +RESULT +WHAT FOLLOWS\nimplementation /)
    const json = await runVarve(['zfs', 'check', '--pool', pool.name, '--json', '--try'])
    assert.equal(json.code, 0, json.stderr)
    const { dataset, isUsable, steps } = JSON.parse(json.stdout) as Record<string, unknown>
    assert.deepEqual([dataset, isUsable], [`${pool.name}/varve`, true])
    assert.equal(Array.isArray(steps) && steps.length, 4)
    await zfs('create', `${pool.name}/other`)
    const foreign = await runVarve(['zfs', 'check', `${pool.name}/other`])
    assert.equal(foreign.code, 6)
    assert.match(foreign.stdout, /is not ours/)
    assert.equal((await runVarve(['zfs', 'check', `${pool.name}no`])).code, 3)
  })
})

function pick(record: Readonly<Record<string, unknown>>, ...names: readonly string[]): unknown[] {
  return names.map(name => record[name])
}
