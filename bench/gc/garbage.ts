import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { digestOf } from '../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { newObjectKey, type ObjectKey } from '../../src/storage/objects/keys.ts'

/** How a store is given objects that nobody is waiting for. */
export type WriteObject = (key: ObjectKey, bytes: Buffer) => Promise<void>

export interface GarbageShape {
  readonly blobs: number
  readonly repositories: number
  /** Bytes of each blob. */
  readonly bytes: number
}

/** Blobs that are linked, that no manifest names, and whose grace is over. @param data of a registry that does not run. */
export async function makeGarbage(
  data: string,
  { blobs, repositories, bytes }: GarbageShape,
  write: WriteObject,
): Promise<void> {
  await mkdir(join(data, 'registry'), { recursive: true })
  const path = databaseIn(data)
  await (await openSqliteMetadata(path))[Symbol.asyncDispose]()
  using database = new Disposing(path)
  database.exec('begin')
  const addRepository = database.prepare('insert into repositories (name, created_at) values (?, 0)')
  const addBlob = database.prepare(
    "insert into blobs (digest, object_key, size, state, created_at) values (?, ?, ?, 'stored', 0)",
  )
  const addLink = database.prepare(
    'insert into blob_links (repository, digest, created_at, review_at, kept_until) values (?, ?, 0, ?, 0)',
  )
  for (let index = 0; index < repositories; index += 1) addRepository.run(`garbage/app-${index}`)
  const keys: ObjectKey[] = []
  for (let index = 0; index < blobs; index += 1) {
    const digest = digestOf(randomBytes(16))
    const key = newObjectKey()
    keys.push(key)
    addBlob.run(digest, key, bytes)
    // Pushes of one time are in many repositories, and so are next to each other in the queue.
    addLink.run(`garbage/app-${index % repositories}`, digest, index)
  }
  database
    .prepare('insert into tenant_usage (tenant, bytes, repositories) values (?, ?, ?)')
    .run('garbage', blobs * bytes, repositories)
  database.exec('commit')
  const content = randomBytes(bytes)
  await Promise.all(
    Array.from({ length: writersAtOnce }, async () => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) await write(key, content)
    }),
  )
}

const writersAtOnce = 32

export interface Left {
  /** That are still to be looked at. */
  readonly links: number
  /** Of what is known not to be needed, and not yet deleted. */
  readonly objects: number
}

/** What is left in a registry that runs. */
export function leftIn(data: string): Left {
  using database = new Disposing(databaseIn(data), true)
  const count = (sql: string): number => Number(database.prepare(sql).get()?.['count'])
  return {
    links: count("select count(*) as count from blob_links where repository like 'garbage/%'"),
    objects: count('select count(*) as count from garbage where digest is not null'),
  }
}

class Disposing extends DatabaseSync {
  constructor(path: string, readOnly = false) {
    super(path, { readOnly })
  }

  override [Symbol.dispose](): void {
    this.close()
  }
}

function databaseIn(data: string): string {
  return join(data, 'registry', 'varve.db')
}
