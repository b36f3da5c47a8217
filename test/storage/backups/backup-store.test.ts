import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { DomainError, isDomainError } from '../../../src/errors.ts'
import { contentOf } from '../../../src/storage/backups/backup-content.ts'
import { BackupStore, type BackupStoreOptions } from '../../../src/storage/backups/backup-store.ts'
import { parseBackupSecret } from '../../../src/storage/backups/encryption.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type {
  MetadataSnapshot,
  Row,
  SnapshotShape,
  TableRows,
} from '../../../src/storage/metadata/backup/snapshot.ts'
import { restoreSqlite } from '../../../src/storage/metadata/backup/sqlite-restore.ts'
import { backupKey, newBackupId, newObjectKey, parseBackupId } from '../../../src/storage/objects/keys.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { failsWith } from '../../support/backup-content.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const shape: SnapshotShape = {
  engine: 'sqlite',
  migrations: ['0001-initial'],
  tables: [
    {
      name: 'things',
      columns: [
        { name: 'name', type: 'text' },
        { name: 'size', type: 'integer' },
        { name: 'bytes', type: 'bytes' },
      ],
    },
    { name: 'event_sequence', columns: [{ name: 'newest', type: 'integer' }] },
    { name: 'empty', columns: [{ name: 'name', type: 'text' }] },
  ],
}

const things: Row[] = Array.from({ length: 40 }, (_, index) => [
  `thing ${index} ä€𝄞\n"\\\u0007`,
  index === 3 ? null : index * 2 ** 40,
  index === 5 ? null : randomBytes(100 * index),
])

function snapshotOf(rows: readonly Row[] = things, shaped: SnapshotShape = shape): MetadataSnapshot {
  return {
    shape: shaped,
    async *rows({ name }) {
      if (name === 'things') for (const row of rows) yield [row]
      if (name === 'event_sequence') yield [[42]]
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

const secret = parseBackupSecret('0123456789abcdef0123456789abcdef')

function storeOf(options: Partial<BackupStoreOptions> = {}) {
  const objects = new MemoryObjectStore()
  const backups = new BackupStore({ objects, version: '1.2.3', ...options })
  return { objects, backups }
}

async function bytesOf(
  objects: MemoryObjectStore,
  key: Parameters<MemoryObjectStore['get']>[0],
): Promise<Buffer> {
  const { stream } = await objects.get(key)
  return Buffer.concat(await stream.toArray())
}

/** A store in which a backup has these bytes instead of its own, and a record that fits them. */
async function replaced(options: Partial<BackupStoreOptions>, change: (bytes: Buffer) => Uint8Array) {
  const { objects, backups } = storeOf(options)
  const record = await backups.write(snapshotOf(), 'here')
  const bytes = change(await bytesOf(objects, backupKey(record.id, 'data')))
  await objects.put(backupKey(record.id, 'data'), bytes)
  const fitting = { ...record, size: bytes.length, digest: digestOf(bytes) }
  return { backups, record, fitting, bytes }
}

const ignore = async (): Promise<void> => {}

describe('A backup in a store', () => {
  for (const [what, options] of [
    ['in clear text', {}],
    ['encrypted', { secret }],
  ] as const) {
    it(`comes back as it was, ${what}`, async () => {
      const { backups } = storeOf(options)
      const record = await backups.write(snapshotOf(), 'here')
      assert.deepEqual(
        [
          record.rows,
          record.eventPosition,
          record.engine,
          record.instance,
          record.isEncrypted,
          record.version,
        ],
        [41, 42, 'sqlite', 'here', what === 'encrypted', '1.2.3'],
      )
      assert.deepEqual(await backups.list(), [record])
      assert.deepEqual(await backups.verify(record.id), record)
      const found: TableRows[] = []
      const content = await contentOf(backups, record)
      for await (const rows of content.rows()) found.push(rows)
      assert.deepEqual(
        found.filter(({ table }) => table.name === 'things').flatMap(({ rows }) => rows),
        things,
      )
      assert.deepEqual(content.shape, shape)
      // And once more; whoever stops in the middle leaves nothing running.
      for await (const rows of content.rows()) {
        assert.ok(rows.rows.length > 0)
        break
      }
    })

    it(`with any byte changed is refused, ${what}`, async () => {
      const { backups, objects } = storeOf(options)
      const record = await backups.write(snapshotOf(), 'here')
      const key = backupKey(record.id, 'data')
      const whole = await bytesOf(objects, key)
      await fc.assert(
        fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
          const bytes = Buffer.from(whole)
          bytes[at] = (bytes[at] ?? 0) ^ by
          await objects.put(key, bytes)
          await rejectsOneOf(backups.verify(record.id))
          // Also when whoever has changed it has changed its record.
          if (what === 'encrypted')
            await rejectsOneOf(backups.read({ ...record, digest: digestOf(bytes) }, ignore))
        }),
        { numRuns: 60 },
      )
    })

    it(`that was cut off anywhere is refused, ${what}`, async () => {
      const { backups, objects } = storeOf(options)
      const record = await backups.write(snapshotOf(), 'here')
      const whole = await bytesOf(objects, backupKey(record.id, 'data'))
      await fc.assert(
        fc.asyncProperty(fc.nat(whole.length - 1), async length => {
          const bytes = whole.subarray(0, length)
          await objects.put(backupKey(record.id, 'data'), bytes)
          const fitting = { ...record, size: length, digest: digestOf(bytes) }
          await rejectsOneOf(backups.read(fitting, ignore))
        }),
        { numRuns: 60 },
      )
    })
  }

  it('that is many parts long comes back', async () => {
    const { backups } = storeOf()
    const rows = Array.from(
      { length: 40 },
      (_, index): Row => [String(index), index, randomBytes(1024 * 1024)],
    )
    const record = await backups.write(snapshotOf(rows), 'here')
    assert.ok(record.size > 2 * 16 * 1024 * 1024)
    assert.deepEqual(await backups.verify(record.id), record)
  })

  it('is not read with another key, or without one', async () => {
    const { backups, objects } = storeOf({ secret })
    const record = await backups.write(snapshotOf(), 'here')
    const other = new BackupStore({ objects, version: '1', secret: Buffer.alloc(32, 'x') })
    await failsWith('invalid', /is not the key/, other.verify(record.id))
    const none = new BackupStore({ objects, version: '1' })
    await failsWith('invalid', /name the file with its key in backup.keyFile/, none.verify(record.id))
  })

  it('in clear text is refused where there is a key, unless that is wanted', async () => {
    const { backups, objects } = storeOf()
    const record = await backups.write(snapshotOf(), 'here')
    const withKey = new BackupStore({ objects, version: '1', secret })
    await failsWith('denied', /--unencrypted/, withKey.verify(record.id))
    const both = new BackupStore({ objects, version: '1', secret, acceptsUnencrypted: true })
    assert.deepEqual(await both.verify(record.id), record)
  })

  it('with a key that is too short is not begun', () => {
    assert.throws(() => parseBackupSecret('short'), /shorter than 32 characters/)
  })

  it('of a newer format is refused in one sentence', async () => {
    const text = `${JSON.stringify({ varve: 'backup', format: 2, tables: 'who knows' })}\n`
    const { backups, fitting } = await replaced({}, () => zstdCompressSync(text))
    await failsWith(
      'unsupported',
      /of format 2, which this version does not know/,
      backups.read(fitting, ignore),
    )
  })

  it('that is something else is refused', async () => {
    for (const bytes of [
      Buffer.from(''),
      Buffer.from('hello'),
      zstdCompressSync('hello\n'),
      zstdCompressSync('{"a":1}\n'),
      zstdCompressSync('[]\n'),
      zstdCompressSync('null\n'),
      zstdCompressSync(`${JSON.stringify({ varve: 'backup', format: 1 })}\n`),
      randomBytes(1000),
    ]) {
      const { backups, fitting } = await replaced({}, () => bytes)
      await failsWith('invalid', /^The backup cannot be used: /, backups.read(fitting, ignore))
    }
  })

  it('with something after its end has the same rows', async () => {
    const { backups, fitting } = await replaced({}, bytes => Buffer.concat([bytes, zstdCompressSync('[]\n')]))
    assert.equal((await backups.read(fitting, ignore)).rows['things'], things.length)
  })

  it('that would fill the memory or the disk is refused', async () => {
    const zeros = zstdCompressSync(Buffer.alloc(1024 * 1024 * 1024))
    assert.ok(zeros.length < 100_000)
    const line = await replaced({}, () => zeros)
    await failsWith('invalid', /too long/, line.backups.read(line.fitting, ignore))
    const row = `${JSON.stringify(['x', 1, null])}\n`
    const lines = zstdCompressSync(
      Buffer.concat([
        Buffer.from(
          `${JSON.stringify({ varve: 'backup', format: 1, id: 'x', madeAt: new Date(), version: '1', instance: 'x', shape })}\n{"table":"things"}\n`,
        ),
        Buffer.from(row.repeat(4_000_000)),
      ]),
    )
    const bomb = await replaced({}, () => lines)
    await failsWith('invalid', /far larger than any/, bomb.backups.read(bomb.fitting, ignore))
  })

  it('is never in memory with more of its rows than a few megabytes, however long they are', async () => {
    // Of which little can be compressed.
    const long = randomBytes(1.5 * 1024 * 1024).toString('hex')
    const rows: Row[] = Array.from({ length: 8 }, (_, index) => [`${long}${index}`])
    const shaped: SnapshotShape = {
      ...shape,
      tables: [{ name: 'things', columns: [{ name: 'name', type: 'text' }] }],
    }
    const { backups } = storeOf()
    const record = await backups.write(snapshotOf(rows, shaped), 'here')
    const batches: number[] = []
    await backups.read(record, async found => void batches.push(found.rows.length))
    assert.deepEqual(new Set(batches), new Set([2]))
    assert.equal(batches.length, 4)
  })

  it('of a newer Varve, or of a schema that is none, changes nothing', async () => {
    await using directory = await temporaryDirectory()
    const { backups } = storeOf()
    const rules = { revokesTokens: false, now: Date.now(), replaces: false }
    for (const [migrations, code, message] of [
      [['0001-initial', '9999-later'], 'unsupported', /made by a newer Varve \(9999-later\)/],
      [['0002-events'], 'invalid', /its schema is not known/],
      [[], 'invalid', /its schema is not known/],
      [['0001-initial'], 'invalid', /its table \w+ is another one/],
    ] as const) {
      const record = await backups.write(snapshotOf(things, { ...shape, migrations }), 'here')
      const content = await contentOf(backups, record)
      await failsWith(code, message, restoreSqlite(join(directory.path, 'varve.db'), content, rules, ignore))
    }
  })

  it('is read from a file, and what is no file is told', async () => {
    await using directory = await temporaryDirectory()
    const { backups, bytes } = await replaced({}, same => same)
    const path = join(directory.path, 'data')
    await writeFile(path, bytes)
    assert.equal((await backups.readFile(path, ignore)).eventPosition, 42)
    await failsWith(
      'not_found',
      /cannot be read \(ENOENT\)/,
      backups.readFile(join(directory.path, 'no'), ignore),
    )
  })

  it('that cannot be written leaves nothing behind', async () => {
    const objects = new MemoryObjectStore()
    let parts = 0
    const full = new Proxy(objects, {
      get: (target, name: keyof MemoryObjectStore) => {
        const method: unknown = target[name]
        if (typeof method !== 'function') return method
        return (...args: unknown[]) => {
          if (name === 'put') {
            parts += 1
            throw new DomainError('no_space', 'The disk is full.', { resource: 'object' })
          }
          return method.apply(target, args)
        }
      },
    })
    const backups = new BackupStore({ objects: full, version: '1' })
    await rejectsWith('no_space', backups.write(snapshotOf(), 'here'))
    assert.equal(parts, 1)
    assert.deepEqual(await Array.fromAsync(objects.list('backups/')), [])
  })

  it('of which one part cannot be written leaves no part behind', async () => {
    const objects = new MemoryObjectStore()
    const createMultipart = objects.createMultipart.bind(objects)
    objects.createMultipart = async (key, options) => {
      const upload = await createMultipart(key, options)
      const uploadPart = upload.uploadPart.bind(upload)
      upload.uploadPart = async (number, part, given) => {
        if (number > 1) throw new DomainError('no_space', 'The disk is full.', { resource: 'object' })
        return await uploadPart(number, part, given)
      }
      return upload
    }
    const rows = Array.from(
      { length: 40 },
      (_, index): Row => [String(index), index, randomBytes(1024 * 1024)],
    )
    await rejectsWith('no_space', new BackupStore({ objects, version: '1' }).write(snapshotOf(rows), 'here'))
    assert.equal(objects.unfinishedUploads, 0)
    assert.deepEqual(await Array.fromAsync(objects.list('backups/')), [])
  })

  it('with fewer tables, or rows, than it says is refused though all of its digests fit', async () => {
    const header = {
      varve: 'backup',
      format: 1,
      id: 'x',
      madeAt: new Date(),
      version: '1',
      instance: 'x',
      shape,
    }
    const packed = (lines: readonly object[], counts: Readonly<Record<string, number>>): Uint8Array => {
      const text = [header, ...lines].map(line => `${JSON.stringify(line)}\n`).join('')
      const last = { end: true, rows: counts, digest: digestOf(Buffer.from(text)) }
      return zstdCompressSync(`${text}${JSON.stringify(last)}\n`)
    }
    const [thing, sequence, empty] = [{ table: 'things' }, { table: 'event_sequence' }, { table: 'empty' }]
    const row = ['a', 1, null]
    for (const [message, bytes] of [
      [/tables are missing/, packed([thing, row], { things: 1 })],
      [/tables are missing/, packed([thing, sequence], { things: 0, event_sequence: 0 })],
      [/tables are missing/, packed([], {})],
      [/table empty is not where it should be/, packed([thing, empty], { things: 0, empty: 0 })],
      [/changed after it was written/, packed([thing, sequence, empty], { things: 1 })],
      [/changed after it was written/, packed([thing, row, sequence, empty], { things: 1 })],
      [
        /changed after it was written/,
        packed([thing, row, sequence, empty], { things: 2, event_sequence: 0, empty: 0 }),
      ],
      [/a row comes before its table/, packed([row], {})],
      [/has other columns/, packed([thing, ['a', 1]], {})],
      [/of the wrong type/, packed([thing, ['a', '1', null]], {})],
    ] as const) {
      const { backups, fitting } = await replaced({}, () => bytes)
      await failsWith('invalid', message, backups.read(fitting, ignore))
    }
    // Only what is missing was wrong.
    const whole = packed([thing, row, sequence, empty], { things: 1, event_sequence: 0, empty: 0 })
    const { backups, fitting } = await replaced({}, () => whole)
    await failsWith('invalid', /its data are those of another one/, backups.read(fitting, ignore))
  })

  it('with a line after its last one is refused', async () => {
    const { backups, fitting } = await replaced({}, bytes =>
      zstdCompressSync(Buffer.concat([zstdDecompressSync(bytes), Buffer.from('["late", 1, null]\n')])),
    )
    await failsWith('invalid', /something comes after its end/, backups.read(fitting, ignore))
  })

  it('is left out when its record is that of another one, or longer than any', async () => {
    const { backups, objects } = storeOf()
    const { id } = await backups.write(snapshotOf(), 'here')
    const whole = await bytesOf(objects, backupKey(id, 'record'))
    for (const [message, bytes] of [
      [/that of another one/, String(whole).replaceAll(id, newBackupId(new Date()))],
      [/too long/, String(whole).replace('{', `{${' '.repeat(64 * 1024)}`)],
    ] as const) {
      await objects.put(backupKey(id, 'record'), Buffer.from(bytes))
      await failsWith('invalid', message, backups.verify(id))
      assert.deepEqual(await backups.list(), [])
    }
  })

  it('that is not what was written has no record', async () => {
    const objects = new MemoryObjectStore()
    const put = objects.put.bind(objects)
    objects.put = async (key, body, options) => {
      const rotten = Buffer.from(body)
      rotten[20] = (rotten[20] ?? 0) ^ 1
      return await put(key, rotten, options)
    }
    await rejectsWith(
      'digest_mismatch',
      new BackupStore({ objects, version: '1' }).write(snapshotOf(), 'here'),
    )
    assert.deepEqual(await Array.fromAsync(objects.list('backups/')), [])
  })

  it('is broken off by a signal, and leaves nothing behind', async () => {
    const { backups, objects } = storeOf()
    const ending = new AbortController()
    const snapshot: MetadataSnapshot = {
      ...snapshotOf(),
      async *rows() {
        yield things
        ending.abort(new Error('stopped'))
        yield things
      },
    }
    await assert.rejects(backups.write(snapshot, 'here', { signal: ending.signal }))
    assert.deepEqual(await Array.fromAsync(objects.list('backups/')), [])
  })

  it('is seen by who looks for backups, and by nobody who looks for objects', async () => {
    const { backups, objects } = storeOf()
    const { id } = await backups.write(snapshotOf(), 'here')
    const blob = newObjectKey()
    await objects.put(blob, Buffer.from('x'))
    const keysOf = async (prefix: string) =>
      (await Array.fromAsync(objects.list(prefix))).map(({ key }) => key)
    assert.deepEqual(await keysOf(''), [blob])
    assert.deepEqual(await keysOf('b'), [blob])
    assert.deepEqual(await keysOf('backups/'), [backupKey(id, 'data'), backupKey(id, 'record')])
  })

  it('is listed newest first, others left out; what was left behind goes after a day', async () => {
    let now = Date.now() - 3 * 24 * 60 * 60 * 1000
    const { backups, objects } = storeOf({ now: () => now })
    const left = newBackupId(new Date(now))
    await objects.put(backupKey(left, 'data'), Buffer.from('half'))
    const ids = []
    for (let count = 0; count < 3; count += 1) {
      now += 1000
      ids.unshift((await backups.write(snapshotOf(), 'here')).id)
    }
    const broken = newBackupId(new Date(now))
    await objects.put(backupKey(broken, 'record'), Buffer.from('{}'))
    assert.deepEqual(
      (await backups.list()).map(({ id }) => id),
      ids,
    )
    assert.equal(await backups.removeLeftBehind(), 0)
    now += 2 * 24 * 60 * 60 * 1000
    assert.equal(await backups.removeLeftBehind(), 1)
    await backups.remove(ids.slice(1))
    assert.equal((await backups.list()).length, 1)
    await rejectsWith('not_found', backups.verify(ids[2] ?? left))
    assert.throws(() => parseBackupId('../../etc'), /is not the ID of a backup/)
  })
})

async function rejectsOneOf(attempt: Promise<unknown>): Promise<void> {
  await attempt.then(
    () => assert.fail('resolved'),
    (error: unknown) =>
      assert.ok(
        isDomainError(error, 'invalid', 'denied', 'unsupported', 'digest_mismatch', 'size_mismatch'),
        `${String(error)} is none of a broken backup`,
      ),
  )
}
