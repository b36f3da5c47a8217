import assert from 'node:assert/strict'
import { appendFile, chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { AuditFile } from '../../../src/registry/audit/audit-file.ts'
import { auditText } from '../../../src/registry/audit/audit-text.ts'
import { RefusalLimit } from '../../../src/registry/audit/refusal-limit.ts'
import { auditEntry } from '../../support/audit-entries.ts'
import { exec } from '../../support/process.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe('The file of the audit log', () => {
  let directory: TemporaryDirectory
  let path: string
  let file: AuditFile

  const references = async (from = path): Promise<unknown[]> =>
    (await readFile(from, 'utf8'))
      .split('\n')
      .slice(0, -1)
      .map(line => (JSON.parse(line) as { reference?: unknown }).reference)
  const add = (...names: readonly string[]) => file.append(names.map(reference => auditEntry({ reference })))

  beforeEach(async () => {
    directory = await temporaryDirectory()
    path = join(directory.path, 'audit.jsonl')
    file = await AuditFile.open(path)
  })
  afterEach(async () => {
    await file[Symbol.asyncDispose]()
    await directory.remove()
  })

  it('has an entry in each line, and is its owner’s alone', async () => {
    assert.equal(await add('a', 'b'), 2)
    assert.equal(await add('c'), 1)
    const [line = ''] = (await readFile(path, 'utf8')).split('\n')
    assert.deepEqual(JSON.parse(line), { ...auditEntry({ reference: 'a' }), at: '2026-01-01T00:00:00.000Z' })
    assert.deepEqual(await references(), ['a', 'b', 'c'])
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  it('is made anew when it was moved away, and nothing is lost', async () => {
    await add('a')
    await rename(path, `${path}.1`)
    await add('b')
    await rename(path, `${path}.2`)
    await writeFile(path, '')
    await add('c')
    await rename(path, `${path}.3`)
    file.reopen()
    await add('d')
    assert.deepEqual(await references(`${path}.1`), ['a'])
    assert.deepEqual(await references(`${path}.2`), ['b'])
    assert.deepEqual(await references(`${path}.3`), ['c'])
    assert.deepEqual(await references(), ['d'])
  })

  it('takes whole lines of several who write at the same time', async () => {
    await using other = await AuditFile.open(path)
    const long = 'x'.repeat(5000)
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? file : other).append([auditEntry({ reference: `${index}`, rule: long })]),
      ),
    )
    assert.equal(new Set(await references()).size, 40)
  })

  it('goes on in a new line after somebody was killed in the middle of one', async () => {
    await appendFile(path, '{"at":"20')
    await using again = await AuditFile.open(path)
    await again.append([auditEntry({ reference: 'a' })])
    const [torn, whole = ''] = (await readFile(path, 'utf8')).split('\n')
    assert.equal(torn, '{"at":"20')
    assert.equal((JSON.parse(whole) as { reference?: unknown }).reference, 'a')
  })

  it('takes what there is room for on a full disk, and the rest when there is room again', async t => {
    const mount = join(directory.path, 'small')
    await mkdir(mount)
    try {
      await exec('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', mount])
    } catch (error) {
      t.skip(`no tmpfs can be mounted here: ${String(error)}`)
      return
    }
    try {
      const small = join(mount, 'audit.jsonl')
      await writeFile(join(mount, 'ballast'), Buffer.alloc(8192))
      await using full = await AuditFile.open(small)
      const entries = Array.from({ length: 20 }, (_, index) =>
        auditEntry({ reference: `${index}`, rule: 'x'.repeat(900) }),
      )
      const first = await full.append(entries)
      assert.ok(first > 0 && first < 20, String(first))
      await assert.rejects(full.append(entries.slice(first)))
      await exec('mount', ['-o', 'remount,size=1m', mount])
      assert.equal(await full.append(entries.slice(first)), 20 - first)
      const whole = (await readFile(small, 'utf8')).split('\n').flatMap(line => {
        try {
          return [(JSON.parse(line) as { reference: string }).reference]
        } catch {
          return []
        }
      })
      assert.deepEqual(
        whole,
        Array.from({ length: 20 }, (_, index) => `${index}`),
      )
    } finally {
      await exec('umount', ['--lazy', mount])
    }
  })

  it('never waits for a pipe that nobody reads', async () => {
    const pipe = join(directory.path, 'pipe')
    await exec('mkfifo', [pipe])
    await rejectsWith('invalid', AuditFile.open(pipe))
  })

  it('names a file that cannot be opened', async () => {
    const error = await rejectsWith('invalid', AuditFile.open(join(directory.path, 'absent', 'audit')))
    assert.match(error.message, /absent\/audit \(ENOENT\); audit\.file/)
    await chmod(path, 0o600)
  })
})

describe('Text of the audit log', () => {
  it('is one bounded line, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), text => {
        const clean = auditText(text, 100)
        if (text === '') return assert.equal(clean, undefined)
        assert.ok(clean !== undefined && clean.length <= 101 * 6)
        assert.doesNotMatch(clean, /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u)
        assert.ok(clean.isWellFormed())
      }),
    )
  })

  it('shows what was there', () => {
    assert.equal(auditText('a\n\u001b[0m\0\u202eb', 100), 'a\\u000a\\u001b[0m\\u0000\\u202eb')
    assert.equal(auditText('plain text', 100), 'plain text')
    assert.equal(auditText(null, 100), undefined)
  })
})

describe('Refusals of one address', () => {
  it('are counted by minute, all of an IPv6 network together', () => {
    let now = 0
    const limit = new RefusalLimit(2, () => now)
    assert.deepEqual(
      ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8::4', '192.0.2.1'].map(one => limit.take(one)),
      ['kept', 'kept', 'first', 'over', 'kept'],
    )
    now = 60_000
    assert.equal(limit.take('2001:db8::5'), 'kept')
  })

  it('of more addresses than are counted are counted as one', () => {
    const limit = new RefusalLimit(1, () => 0)
    for (let index = 0; index < 10_000; index += 1) limit.take(`10.0.${index >> 8}.${index & 255}`)
    assert.deepEqual(
      ['192.0.2.1', '192.0.2.2', '10.0.0.0'].map(one => limit.take(one)),
      ['kept', 'first', 'first'],
    )
  })
})
