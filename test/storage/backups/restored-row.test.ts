import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { restoredRow } from '../../../src/storage/metadata/backup/restored-row.ts'
import type { TableShape } from '../../../src/storage/metadata/backup/snapshot.ts'

describe('A setting that is restored', () => {
  const table = {
    name: 'settings',
    columns: [
      { name: 'name', type: 'text' as const },
      { name: 'value', type: 'text' as const },
    ],
  }
  const restored = (name: string) => restoredRow(table, [name, 'x'], { revokesTokens: false, now: 0 })

  it('is not what the registry calls itself to upstreams: its original may be one', () => {
    assert.equal(restored('hop-id'), undefined)
  })

  it('is not since when pulls are known: retention would drop what was pulled after the backup', () => {
    assert.equal(restored('pulls-noted-since'), undefined)
  })

  it('is which registry it is, so that it goes on with its own backups', () => {
    assert.deepEqual(restored('instance-id'), ['instance-id', 'x'])
    assert.deepEqual(restored('upload-secret'), ['upload-secret', 'x'])
    assert.equal(restored('unfinished-restore'), undefined)
  })
})

describe('An object without a name that is restored', () => {
  it('is kept as if it had just been found: what it has healed since the backup may not be so any more', () => {
    const table: TableShape = {
      name: 'stray_objects',
      columns: [
        { name: 'object_key', type: 'text' },
        { name: 'size', type: 'integer' },
        { name: 'digest', type: 'text' },
        { name: 'found_at', type: 'integer' },
      ],
    }
    const restored = restoredRow(table, ['blobs/aa/b', 5, 'sha256:a', 1000], {
      revokesTokens: false,
      now: 2000,
    })
    assert.deepEqual(restored, ['blobs/aa/b', 5, 'sha256:a', 2000])
  })
})

describe('Garbage that is restored', () => {
  const table: TableShape = {
    name: 'garbage',
    columns: [
      { name: 'object_key', type: 'text' },
      { name: 'since', type: 'integer' },
      { name: 'digest', type: 'text' },
      { name: 'size', type: 'integer' },
    ],
  }
  const restored = (key: string) =>
    restoredRow(table, [key, 1000, null, null], { revokesTokens: false, now: 2000 })

  it('is nothing under a name that others have given, which may have been adopted once more since', () => {
    assert.equal(restored('/docker/registry/v2/blobs/sha256/aa/bb/data'), undefined)
    assert.deepEqual(restored('blobs/aa/b'), ['blobs/aa/b', 1000, null, null])
  })
})

describe('Positions of events that are restored', () => {
  const table: TableShape = { name: 'event_sequence', columns: [{ name: 'newest', type: 'integer' }] }
  const newest = (now: number) => restoredRow(table, [500], { revokesTokens: false, now })?.[0]

  it('are not those of an earlier restoring of the same backup', () => {
    const [first, second] = [newest(Date.UTC(2026, 0, 1)), newest(Date.UTC(2026, 0, 2))]
    assert.ok(typeof first === 'number' && typeof second === 'number')
    assert.ok(second - first > 1_000_000 && Number.isSafeInteger(second), String([first, second]))
  })
})
