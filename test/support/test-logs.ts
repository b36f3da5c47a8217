/**
 * What servers of the tests log, answer as errors, measure and record of requests, kept in the directory that the runner
 * makes, which looks through it for secrets at the end. Nothing is kept when a file is run by itself.
 */
import { appendFileSync, existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createLogger, type Logger } from '../../src/log.ts'

/** The environment variable with the directory. */
export const testLogsVariable = 'VARVE_TEST_LOGS'

/** Of one process: what comes after is not kept. */
const maxBytes = 32 * 1024 * 1024
const maxRows = 20_000
/** Where texts of clients, and of those who administer, end up. Passwords' hashes are in other tables. */
const tables = ['audit', 'events', 'credentials', 'uploads'] as const

/** Whether anybody will look through what is kept. */
export const isScanned = process.env[testLogsVariable] !== undefined

let keptBytes = 0

/** Each text as lines of its own. */
export function keepForScan(text: string): void {
  const directory = process.env[testLogsVariable]
  if (directory === undefined || keptBytes > maxBytes || text === '') return
  const name = `${basename(process.argv[1] ?? 'test')}-${process.pid}.log`
  const line = text.endsWith('\n') ? text : `${text}\n`
  keptBytes += line.length
  appendFileSync(join(directory, name), line)
}

/** For servers whose log nobody looks at but the scan. */
export function testLog(): Logger {
  return isScanned
    ? createLogger({ level: 'debug', destination: { write: keepForScan } })
    : createLogger({ level: 'silent' })
}

/** Rows of a registry's database, SQLite, which may still be in use; one that was broken on purpose is passed over. */
export function keepRecords(databaseFile: string): void {
  if (!isScanned || !existsSync(databaseFile)) return
  try {
    using database = new DatabaseSync(databaseFile, { readOnly: true })
    for (const table of tables)
      for (const row of database.prepare(`select * from ${table} limit ${maxRows}`).iterate())
        keepForScan(`${table} ${JSON.stringify(row, textOfBytes)}`)
  } catch (error) {
    keepForScan(`${databaseFile}: ${String(error)}`)
  }
}

/** Bytes as the text that they may be, so that what is hidden in them is found. */
function textOfBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value
}
