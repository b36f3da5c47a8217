/** What is kept of questions that every request asks is never out of date, whoever has changed the answer. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { KeptValues } from '../../../src/storage/metadata/kept-values.ts'
import { Unchanged } from '../../../src/storage/metadata/unchanged.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const [acme, alice] = [parseTenantName('acme'), parseAccountName('alice')]
const app = parseRepositoryName('acme/app')

describe('Facts about access, in SQLite', () => {
  let directory: TemporaryDirectory
  let ours: Metadata
  let others: Metadata
  beforeEach(async () => {
    directory = await temporaryDirectory()
    const open = () => openSqliteMetadata(join(directory.path, 'varve.db'))
    ours = await open()
    others = await open()
  })
  afterEach(async () => {
    await ours[Symbol.asyncDispose]()
    await others[Symbol.asyncDispose]()
    await directory.remove()
  })

  for (const who of ['this process', 'another one'] as const)
    it(`are new at once when ${who} changes them`, async () => {
      const changing = who === 'this process' ? ours : others
      const seen = async () => {
        const { role } = await ours.accessFacts(alice, app)
        return [role, (await ours.findAccount(alice))?.isDisabled]
      }
      await changing.createTenant({ name: acme })
      assert.deepEqual(await seen(), [undefined, undefined])
      await changing.createAccount({ name: alice, kind: 'user' })
      assert.deepEqual(await seen(), [undefined, false])
      for (const role of ['guest', 'owner'] as const) {
        await changing.setMember(acme, alice, role)
        assert.deepEqual(await seen(), [role, false])
        assert.deepEqual(await seen(), [role, false])
      }
      await changing.updateAccount(alice, { isDisabled: true })
      assert.deepEqual(await seen(), ['owner', true])
      await changing.deleteAccount(alice)
      assert.deepEqual(await seen(), [undefined, undefined])
    })

  it('are not answered any more when it is closed, nor to whoever has gone', async () => {
    await ours.accessFacts(alice, app)
    await assert.rejects(ours.accessFacts(alice, app, { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    })
    const closed = await openSqliteMetadata(join(directory.path, 'varve.db'))
    await closed.accessFacts(alice, app)
    await closed[Symbol.asyncDispose]()
    await assert.rejects(closed.accessFacts(alice, app))
  })
})

describe('Kept values', () => {
  it('are those of one mark, and of so many keys at most', () => {
    let mark: string | undefined = 'a'
    const kept = new KeptValues<{ value: number }>(() => mark, 2)
    assert.equal(kept.mark(), 'a')
    for (const [value, key] of ['x', 'y', 'z'].entries()) kept.keep(key, { value }, 'a')
    assert.deepEqual(
      ['x', 'y', 'z'].map(key => kept.find(key)?.value),
      [undefined, 1, 2],
    )
    mark = 'b'
    assert.equal(kept.mark(), 'b')
    assert.equal(kept.find('z'), undefined)
    kept.keep('z', { value: 3 }, 'a')
    assert.equal(kept.find('z'), undefined)
    kept.keep('z', { value: 4 }, 'b')
    mark = undefined
    assert.equal(kept.mark(), undefined)
    assert.equal(kept.find('z'), undefined)
  })
})

describe('What is unchanged', () => {
  function counting(mark: () => string | undefined) {
    let reads = 0
    const gate: (() => void)[] = []
    const unchanged = new Unchanged<{ read: number }>((_options, work) => work(undefined as never), mark)
    const read = (wait = false) =>
      unchanged.of('key', undefined, async () => {
        reads += 1
        const mine = reads
        if (wait) await new Promise<void>(resolve => gate.push(resolve))
        return { read: mine }
      })
    return { read, gate }
  }

  it('is read once, and again when the mark is another', async () => {
    let mark = 'a'
    const { read } = counting(() => mark)
    assert.deepEqual([(await read()).read, (await read()).read], [1, 1])
    mark = 'b'
    assert.deepEqual([(await read()).read, (await read()).read], [2, 2])
  })

  it('is always read where there is no mark', async () => {
    const { read } = counting(() => undefined)
    assert.deepEqual([(await read()).read, (await read()).read], [1, 2])
  })

  it('is not what was being read when it changed', async () => {
    let mark = 'a'
    const { read, gate } = counting(() => mark)
    const slow = read(true)
    mark = 'b'
    assert.equal((await read()).read, 2)
    for (const open of gate) open()
    assert.equal((await slow).read, 1)
    assert.equal((await read()).read, 2)
  })
})
