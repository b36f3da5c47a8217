import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createBackupMetrics } from '../../src/metrics/backup-metrics.ts'

describe('Metrics of backups', () => {
  it('have no time of a backup before the first look, and nought when there is none', async () => {
    const metrics = createBackupMetrics()
    assert.doesNotMatch(await metrics.text(), /^varve_backup_last/m)
    metrics.looked('elsewhere', undefined)
    assert.match(await metrics.text(), /^varve_backup_last_timestamp_seconds 0$/m)
    metrics.looked('made', { madeAt: new Date(5000), size: 7 })
    const text = await metrics.text()
    assert.match(text, /^varve_backup_last_timestamp_seconds 5$/m)
    assert.match(text, /^varve_backup_last_size_bytes 7$/m)
    assert.match(text, /^varve_backup_ticks_total\{outcome="made"\} 1$/m)
  })
})
