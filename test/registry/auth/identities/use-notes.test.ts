import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UseNotes } from '../../../../src/registry/auth/identities/use-notes.ts'
import { parseAccountName } from '../../../../src/storage/accounts/names.ts'
import type { CredentialRecords, CredentialUse } from '../../../../src/storage/metadata/account-records.ts'
import { keepLog } from '../../../support/log-lines.ts'

const [alice, bob] = [parseAccountName('alice'), parseAccountName('bob')]

/** Keeps what is written; fails as often as it is told to. */
function recordsThatFail(times = 0): Pick<CredentialRecords, 'noteUses'> & { written: CredentialUse[][] } {
  const written: CredentialUse[][] = []
  let failures = times
  return {
    written,
    noteUses: async uses => {
      if (failures-- > 0) throw new Error('the database is away')
      written.push([...uses])
    },
  }
}

describe('Uses of credentials', () => {
  it('are written together when it ends, each credential once with its last use', async () => {
    const records = recordsThatFail()
    const uses = new UseNotes({ records, log: keepLog().log })
    for (let at = 1; at <= 50; at += 1) {
      uses.note({ account: alice, credential: 'one', at: new Date(at) })
      uses.note({ account: alice, at: new Date(at) })
      uses.note({ account: bob, at: new Date(at) })
    }
    assert.deepEqual(records.written, [])
    await uses[Symbol.asyncDispose]()
    assert.deepEqual(records.written, [
      [
        { account: alice, credential: 'one', at: new Date(50) },
        { account: alice, at: new Date(50) },
        { account: bob, at: new Date(50) },
      ],
    ])
  })

  it('are written some time later', async () => {
    const done = Promise.withResolvers<readonly CredentialUse[]>()
    const records = { noteUses: async (uses: readonly CredentialUse[]) => done.resolve(uses) }
    await using uses = new UseNotes({ records, log: keepLog().log, everyMs: 1 })
    uses.note({ account: alice, at: new Date(1) })
    // It alone keeps no process alive.
    const waiting = setTimeout(() => {}, 60_000)
    assert.equal((await done.promise).length, 1)
    clearTimeout(waiting)
  })

  it('wait while they cannot be written; the log says so once', async () => {
    const records = recordsThatFail(3)
    const kept = keepLog()
    const uses = new UseNotes({ records, log: kept.log, everyMs: 1 })
    uses.note({ account: alice, at: new Date(1) })
    await kept.find(() => true)
    while (records.written.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
    await uses[Symbol.asyncDispose]()
    assert.equal(kept.lines().length, 1)
    assert.equal(records.written.flat().length, 1)
  })

  it('are so many and no more', async () => {
    const records = recordsThatFail()
    const uses = new UseNotes({ records, log: keepLog().log, limit: 3 })
    for (let index = 0; index < 10; index += 1)
      uses.note({ account: alice, credential: `token${index}`, at: new Date(1) })
    uses.note({ account: alice, credential: 'token1', at: new Date(2) })
    await uses[Symbol.asyncDispose]()
    assert.deepEqual(
      records.written.flat().map(({ credential, at }) => [credential, at.getTime()]),
      [
        ['token0', 1],
        ['token1', 2],
        ['token2', 1],
      ],
    )
  })

  it('that come while others are written are not lost', async () => {
    const began = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    const written: Date[] = []
    const records = {
      noteUses: async (uses: readonly CredentialUse[]) => {
        began.resolve()
        await ended.promise
        written.push(...uses.map(({ at }) => at))
      },
    }
    const notes = new UseNotes({ records, log: keepLog().log, everyMs: 1 })
    notes.note({ account: alice, at: new Date(1) })
    const waiting = setTimeout(() => {}, 60_000)
    await began.promise
    clearTimeout(waiting)
    notes.note({ account: alice, at: new Date(2) })
    ended.resolve()
    await notes[Symbol.asyncDispose]()
    assert.deepEqual(written, [new Date(1), new Date(2)])
  })
})
