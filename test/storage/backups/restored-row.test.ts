import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { restoredRow } from '../../../src/storage/metadata/backup/restored-row.ts'

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

  it('is which registry it is, so that it goes on with its own backups', () => {
    assert.deepEqual(restored('instance-id'), ['instance-id', 'x'])
    assert.deepEqual(restored('upload-secret'), ['upload-secret', 'x'])
    assert.equal(restored('unfinished-restore'), undefined)
  })
})
