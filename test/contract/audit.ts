import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import type { AuditEntry, AuditQuery, NewAuditEntry } from '../../src/storage/metadata/audit-records.ts'
import { auditEntry } from '../support/audit-entries.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata } from './metadata.ts'

export interface OpenedAudit extends OpenedMetadata {
  /** Gives the database itself a statement. @throws what it answers. */
  run(statement: string): Promise<void>
  /** Statements of its own by which entries could go. */
  readonly refused: readonly string[]
}

const newest = { limit: 1000 }

/** The executable half of AuditRecords. `open` gives an empty database. */
export function auditContract(name: string, open: () => Promise<OpenedAudit>): void {
  describe(`${name} as AuditRecords`, () => {
    let opened: OpenedAudit
    before(async () => {
      opened = await open()
    })
    after(() => opened.close())

    /** Nothing is taken away between tests, so each has an account of its own. */
    let accounts = 0
    const fresh = (): string => {
      accounts += 1
      return `account-${accounts}`
    }
    const add = (...entries: readonly NewAuditEntry[]) => opened.metadata.addAuditEntries(entries)
    const list = (query: Partial<AuditQuery>) => opened.replica.listAudit({ ...newest, ...query })
    const references = (entries: readonly AuditEntry[]) => entries.map(({ reference }) => reference)

    it('keeps everything that is told, and nothing that is not', async () => {
      const account = fresh()
      const full: NewAuditEntry = {
        at: new Date(1_700_000_000_123),
        account,
        claimed: 'somebody',
        credential: 'token:abcdefghijklmnop',
        operation: 'manifest.put',
        target: 'acme/web',
        reference: 'v1',
        outcome: 'denied',
        rule: 'alice is a guest of acme',
        status: 403,
        address: '2001:db8::1',
        userAgent: 'docker/29',
        requestId: 'request-1',
      }
      const { claimed: _c, credential: _k, target: _t, reference: _f, rule: _r, status: _s, ...rest } = full
      await add(full, rest)
      const [second, first] = await list({ account })
      const nothing = {
        claimed: undefined,
        credential: undefined,
        target: undefined,
        reference: undefined,
        rule: undefined,
        status: undefined,
      }
      assert.deepEqual(first, { id: first?.id, ...full })
      assert.deepEqual(second, { id: second?.id, ...rest, ...nothing })
      assert.ok(Number(second?.id) > Number(first?.id))
    })

    it('takes none, and a great many', async () => {
      const account = fresh()
      await add()
      await add(
        ...Array.from({ length: 1203 }, (_, index) => auditEntry({ account, reference: `r${index}` })),
      )
      assert.equal((await list({ account, limit: 5000 })).length, 1203)
    })

    it('takes all of a batch or none of it', async () => {
      const account = fresh()
      await rejectsWith('invalid', add(auditEntry({ account }), auditEntry({ account, userAgent: 'a\0b' })))
      assert.deepEqual(await list({ account }), [])
    })

    it('lists by time, the newest first, whatever the order in which entries came', async () => {
      const account = fresh()
      const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds))
      const entry = (seconds: number, reference: string) =>
        auditEntry({ account, at: at(seconds), reference })
      await add(entry(2, 'c'), entry(1, 'a'), entry(3, 'e'))
      await add(entry(1, 'b'), entry(2, 'd'))
      assert.deepEqual(references(await list({ account })), ['e', 'd', 'c', 'b', 'a'])
      const read: AuditEntry[] = []
      for (;;) {
        const page = await list({ account, limit: 2, before: read.at(-1)?.id })
        read.push(...page)
        if (page.length < 2) break
      }
      assert.deepEqual(references(read), ['e', 'd', 'c', 'b', 'a'])
      assert.deepEqual(references(await list({ account, since: at(2), until: at(3) })), ['d', 'c'])
    })

    it('finds by account, target, operation and outcome', async () => {
      const [account, other] = [fresh(), fresh()]
      const entries = [
        { account, operation: 'manifest.put', target: 'found/web', outcome: 'allowed' },
        { account, operation: 'manifest.delete', target: 'found/web/api', outcome: 'denied' },
        { account, operation: 'manifest.put', target: 'found', outcome: 'failed' },
        { account, operation: 'manifest.put', target: 'found-not/web', outcome: 'denied' },
        { account, operation: 'tenant.create', target: 'tenant:found', outcome: 'allowed' },
        { account: other, operation: 'login', target: undefined, outcome: 'denied' },
      ] as const
      await add(...entries.map((entry, index) => auditEntry({ ...entry, reference: String(index) })))
      const found = async (query: Partial<AuditQuery>) =>
        references(await list(query))
          .reverse()
          .join('')
      assert.equal(await found({ account }), '01234')
      assert.equal(await found({ account: other }), '5')
      assert.equal(await found({ target: 'found/web' }), '0')
      assert.equal(await found({ target: 'found/**' }), '012')
      assert.equal(await found({ target: 'found/web/**' }), '1')
      assert.equal(await found({ target: 'tenant:found' }), '4')
      assert.equal(await found({ account, operation: 'manifest.put' }), '023')
      assert.equal(await found({ account, outcome: 'denied' }), '13')
      assert.equal(await found({ target: 'found/**', operation: 'manifest.put', outcome: 'failed' }), '2')
      for (const nothing of [
        { account: 'ALICE' },
        { account: `${account}\0` },
        { target: 'found\0/**' },
        { target: 'foun%' },
        { operation: 'manifest' },
      ])
        assert.equal(await found(nothing), '', JSON.stringify(nothing))
    })

    it('gives back what it was given, whatever the text', async () => {
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: 'grapheme' }), async text => {
          const account = fresh()
          const clean = text.toWellFormed().replaceAll('\0', '')
          await add(auditEntry({ account, userAgent: clean, rule: clean, target: clean }))
          const [entry] = await list({ account })
          assert.deepEqual([entry?.userAgent, entry?.rule, entry?.target], [clean, clean, clean])
        }),
        { numRuns: 20 },
      )
    })

    it('refuses, for everybody, to change or delete an entry', async () => {
      const account = fresh()
      await add(auditEntry({ account, at: new Date(0) }))
      for (const statement of [
        "update audit set outcome = 'allowed'",
        'delete from audit',
        `delete from audit where account = '${account}'`,
        ...opened.refused,
      ])
        await assert.rejects(opened.run(statement), /only ever added to/, statement)
      assert.equal((await list({ account })).length, 1)
    })

    it('lets go of what is too old, the oldest first, a bounded number at a time', async () => {
      const account = fresh()
      const at = (seconds: number) => new Date(Date.UTC(2001, 0, 1, 0, 0, seconds))
      await opened.metadata.deleteAuditBefore(at(0), 5000)
      await add(
        ...[5, 1, 3, 2, 4].map(second => auditEntry({ account, at: at(second), reference: String(second) })),
      )
      assert.equal(await opened.metadata.deleteAuditBefore(at(4), 2), 2)
      assert.deepEqual(references(await list({ account })), ['5', '4', '3'])
      const [, middle] = await list({ account })
      assert.equal(await opened.replica.deleteAuditBefore(at(5), 100), 2)
      assert.equal(await opened.metadata.deleteAuditBefore(at(5), 100), 0)
      assert.deepEqual(references(await list({ account })), ['5'])
      // What the list went on after is not there any more.
      assert.deepEqual(await list({ account, before: middle?.id }), [])
      // Nothing may be deleted after a sweep that could not be before.
      await assert.rejects(opened.run('delete from audit'), /only ever added to/)
    })

    it('is left alone by a caller that has gone', async () => {
      const account = fresh()
      const signal = AbortSignal.abort()
      const options = { signal }
      await assert.rejects(opened.metadata.addAuditEntries([auditEntry({ account })], options), /abort/i)
      await assert.rejects(opened.metadata.listAudit(newest, options), /abort/i)
      await assert.rejects(opened.metadata.deleteAuditBefore(new Date(), 10, options), /abort/i)
      assert.deepEqual(await list({ account }), [])
    })

    it('is written by several at the same time', async () => {
      const account = fresh()
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? opened.metadata : opened.replica).addAuditEntries(
            Array.from({ length: 10 }, () => auditEntry({ account })),
          ),
        ),
      )
      const ids = (await list({ account })).map(({ id }) => id)
      assert.equal(new Set(ids).size, 200)
    })
  })
}
