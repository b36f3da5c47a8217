import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricsText } from './metrics.ts'

/** Backups of the database that one process knows of. */
export interface BackupMetrics extends MetricsText {
  /** @param outcome of a look: made, not due, elsewhere. */
  looked(outcome: string, newest: { readonly madeAt: Date; readonly size: number } | undefined): void
  /** A look, or the backup that was due, ended with an error. */
  failed(): void
}

export function createBackupMetrics(): BackupMetrics {
  const registry = new Registry()
  const registers = [registry]
  const looks = new Counter({
    name: 'varve_backup_ticks_total',
    help: 'Looks at whether a backup is due: made, not due, elsewhere (another replica makes it), failed.',
    labelNames: ['outcome'] as const,
    registers,
  })
  const last = new Gauge({
    name: 'varve_backup_last_timestamp_seconds',
    help: 'When the newest backup was made that could be read back whole; 0 while there is none. Not there before the first look of a process.',
    registers,
  })
  const size = new Gauge({
    name: 'varve_backup_last_size_bytes',
    help: 'Size of the newest backup, as it is stored.',
    registers,
  })
  // A nought would be an alarm after each start.
  for (const gauge of [last, size]) gauge.remove()
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    looked: (outcome, newest) => {
      looks.labels(outcome).inc()
      last.set(newest === undefined ? 0 : newest.madeAt.getTime() / 1000)
      size.set(newest?.size ?? 0)
    },
    failed: () => looks.labels('failed').inc(),
  }
}
