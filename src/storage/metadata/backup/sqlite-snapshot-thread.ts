/** The thread of sqlite-snapshot.ts: SQLite's calls are synchronous, and a check of a large file takes long. */
import { backup, DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import { errnoOf } from '../../../errors.ts'
import { type Row, rowsAtOnceOf, type SnapshotShape, type TableShape, type Value } from './snapshot.ts'
import { isSnapshotQuestion, type SnapshotAnswer, type SnapshotQuestion } from './snapshot-messages.ts'
import { sqliteMigrations, sqliteTables } from './sqlite-catalog.ts'
import { quoted } from './tables.ts'

/** Of a damaged file, more says no more. */
const maxFindings = 5
/** More than any database has, and the largest number that SQLite takes here. */
const allPages = 2 ** 31 - 1
/** Bytes of one answer, but for its last row. */
const maxAnswerBytes = 4 * 1024 * 1024

let database: DatabaseSync | undefined
let reading: IterableIterator<unknown> | undefined

parentPort?.on('message', (question: unknown) => {
  if (!isSnapshotQuestion(question)) return
  void answerTo(question).then(answer => parentPort?.postMessage(answer))
})

async function answerTo(question: SnapshotQuestion): Promise<SnapshotAnswer> {
  try {
    return question.kind === 'begin' ? await begin(question) : { kind: 'rows', rows: next(question) }
  } catch (error) {
    if (!(error instanceof Error)) return { kind: 'failed', message: String(error), errcode: undefined }
    const isSqlite = errnoOf(error) === 'ERR_SQLITE_ERROR' && 'errcode' in error
    return {
      kind: 'failed',
      message: error.message,
      errcode: isSqlite && typeof error.errcode === 'number' ? error.errcode : undefined,
    }
  }
}

async function begin({ path, copy }: { path: string; copy: string }): Promise<SnapshotAnswer> {
  const source = new DatabaseSync(path, { readOnly: true, timeout: 10_000 })
  try {
    // All pages in one step. In several, each write of another process would let it begin again, for ever perhaps.
    await backup(source, copy, { rate: allPages })
  } finally {
    source.close()
  }
  database = new DatabaseSync(copy, { readOnly: true })
  const findings = database
    .prepare(`pragma integrity_check(${maxFindings})`)
    .all()
    .map(row => String(row['integrity_check']))
  if (findings.join() !== 'ok') return { kind: 'damaged', findings }
  const shape: SnapshotShape = {
    engine: 'sqlite',
    migrations: sqliteMigrations(database),
    tables: sqliteTables(database),
  }
  return { kind: 'shape', shape }
}

function next({ table, goesOn }: { table: TableShape; goesOn: boolean }): Row[] {
  if (!goesOn || reading === undefined) reading = open(table)
  const rows: Row[] = []
  let bytes = 0
  while (rows.length < rowsAtOnceOf(table) && bytes < maxAnswerBytes) {
    const { done, value } = reading.next()
    if (done === true) break
    // `setReturnArrays` is what it says.
    const row = (value as SQLOutputValue[]).map(checkedValue)
    for (const each of row) bytes += each instanceof Uint8Array || typeof each === 'string' ? each.length : 8
    rows.push(row)
  }
  if (rows.length === 0) reading = undefined
  return rows
}

function open({ name, columns }: TableShape): IterableIterator<unknown> {
  if (database === undefined) throw new Error('the snapshot has not begun')
  const statement = database.prepare(
    `select ${columns.map(column => quoted(column.name)).join(', ')} from ${quoted(name)}`,
  )
  statement.setReturnArrays(true)
  return statement.iterate()
}

function checkedValue(value: SQLOutputValue): Value {
  if (typeof value === 'bigint') throw new RangeError('a number in the database is no safe integer')
  return value
}
