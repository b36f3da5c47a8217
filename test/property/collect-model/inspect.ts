import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { digestOf } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { parseObjectKey } from '../../../src/storage/objects/keys.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import { keysIn } from '../../contract/object-store.ts'
import type { Model } from './model.ts'

/** The tables and the objects of one run. */
export interface Inspected {
  readonly metadata: Metadata
  readonly objects: ObjectStore
  readonly rows: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  /** What the names of all its repositories begin with, and no others'. */
  readonly run: string
}

/**
 * At any time: tags are those of the model; what is there, and what can be taken back, names nothing that is gone, unless
 * a client has taken that away; each blob is linked, and its object has its bytes; and no object is unknown.
 */
export async function assertConsistent(inspected: Inspected, model: Model): Promise<void> {
  const { rows, run, metadata, objects } = inspected
  const of = (table: string) => `(select * from ${table} where repository like '${run}%')`
  const tags = await rows(`select repository, name, digest from ${of('tags')} as tags`)
  assert.deepEqual(
    sorted(tags.map(row => `${textOf(row, 'repository')}:${textOf(row, 'name')} ${textOf(row, 'digest')}`)),
    sorted(
      [...model.repositories].flatMap(([name, { tags }]) =>
        [...tags].map(([tag, digest]) => `${name}:${tag} ${digest}`),
      ),
    ),
  )
  await assertNone(
    inspected,
    `select * from ${of('tags')} as tags where not exists (select 1 from manifests
      where manifests.repository = tags.repository and manifests.digest = tags.digest)`,
  )
  await assertNone(
    inspected,
    `select * from ${of('manifest_references')} as reference where role in ('config', 'layer')
      and not exists (select 1 from blob_links as link
        where link.repository = reference.repository and link.digest = reference.digest)`,
  )
  const lost = await rows(
    `select repository, digest from ${of('deleted_references')} as reference
      where not exists (select 1 from blob_links as link
          where link.repository = reference.repository and link.digest = reference.digest)
        and not exists (select 1 from manifests as child
          where child.repository = reference.repository and child.digest = reference.digest)
        and not exists (select 1 from deleted_manifests as child
          where child.repository = reference.repository and child.digest = reference.digest)`,
  )
  const torn = new Set(
    [...model.repositories].flatMap(([name, { torn }]) => [...torn].map(digest => `${name} ${digest}`)),
  )
  for (const row of lost) {
    const [repository, digest] = [textOf(row, 'repository'), textOf(row, 'digest')]
    assert.ok(torn.has(`${repository} ${digest}`), `${repository} has lost ${digest}`)
  }
  await assertObjects(inspected, model)
  const unknown = await metadata.unknownObjects(await keysIn(objects))
  const strays = new Set((await metadata.listStrays(undefined, 1000)).map(({ key }) => key))
  assert.deepEqual(
    [...unknown].filter(key => !strays.has(key)),
    [],
    'objects that nobody knows',
  )
}

async function assertObjects({ rows, run, objects }: Inspected, model: Model): Promise<void> {
  const blobs = await rows(
    `select distinct blobs.digest, object_key, state from blobs
      join blob_links on blob_links.digest = blobs.digest where repository like '${run}%'`,
  )
  for (const { digest, object_key, state } of blobs) {
    const isQuarantined = [...model.quarantined].some(each => each === digest)
    assert.equal(state, isQuarantined ? 'quarantined' : 'stored', String(digest))
    if (isQuarantined) continue
    const { stream } = await objects.get(parseObjectKey(String(object_key)))
    assert.equal(digestOf(await buffer(stream)), digest)
  }
}

/** Only what tags lead to is there, in any table and in the store. */
export async function assertNothingLeft(inspected: Inspected, model: Model): Promise<void> {
  const { rows, run, objects } = inspected
  for (const table of ['deleted_manifests', 'deleted_references', 'tag_history'])
    await assertNone(inspected, `select * from ${table} where repository like '${run}%'`)
  await assertNone(
    inspected,
    `select * from tag_expiries as expiry where repository like '${run}%'
      and not exists (select 1 from tags
        where tags.repository = expiry.repository and tags.name = expiry.tag
          and tags.digest = expiry.digest and tags.updated_at = expiry.tag_set_at)`,
  )
  await assertNone(
    inspected,
    `select * from pulled_manifests as pulled where repository like '${run}%'
      and not exists (select 1 from manifests
        where manifests.repository = pulled.repository and manifests.digest = pulled.digest)`,
  )
  await assertNone(
    inspected,
    `select * from blob_links as link where repository like '${run}%'
      and not exists (select 1 from manifest_references as reference
        where reference.repository = link.repository and reference.digest = link.digest)`,
  )
  await assertNone(
    inspected,
    'select * from blob_faults where not exists (select 1 from blobs where blobs.digest = blob_faults.digest)',
  )
  await assertNone(
    inspected,
    'select * from blobs where not exists (select 1 from blob_links where blob_links.digest = blobs.digest)',
  )
  const repositories = await rows(`select name from repositories where name like '${run}%'`)
  const tagged = [...model.repositories].filter(([, { tags }]) => tags.size > 0)
  assert.deepEqual(sorted(repositories.map(({ name }) => String(name))), sorted(tagged.map(([name]) => name)))
  const keys = await rows(
    `select distinct object_key from blobs
      join blob_links on blob_links.digest = blobs.digest where repository like '${run}%'`,
  )
  const expected = new Set(keys.map(({ object_key }) => String(object_key)))
  assert.deepEqual(
    (await keysIn(objects)).filter(key => !expected.has(key)),
    [],
    'objects',
  )
}

async function assertNone({ rows }: Inspected, sql: string): Promise<void> {
  assert.deepEqual(await rows(sql), [], sql)
}

function textOf(row: Readonly<Record<string, unknown>>, column: string): string {
  return String(row[column])
}

function sorted(texts: readonly string[]): string[] {
  return [...texts].sort()
}
