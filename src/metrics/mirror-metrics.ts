import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricsText } from './metrics.ts'

/** Metrics of the process that runs mirror jobs. */
export interface MirrorMetrics extends MetricsText {
  /** A run of the job goes on, or is paused, or neither. */
  state(job: string, state: 'running' | 'paused' | 'idle'): void
  ended(job: string, outcome: string): void
  /** When the newest run without a failure ended, by whichever replica. */
  succeeded(job: string, at: Date): void
  tag(job: string, outcome: string): void
  bytes(job: string, direction: 'received' | 'sent', count: number): void
  /** @param host that was asked: the job's source or target, or another that these have sent us to. */
  request(job: string, host: 'source' | 'target' | 'other', what: string, status: number): void
  /** What a registry has said of how much may still be pulled. */
  quota(registry: string, remaining: number): void
  /** Of a job that is no more. */
  forget(job: string): void
}

export function createMirrorMetrics(): MirrorMetrics {
  const registry = new Registry()
  const registers = [registry]
  const ofJob = ['job'] as const
  const runs = new Counter({
    name: 'varve_mirror_runs_total',
    help: 'Runs of mirror jobs that have ended in this process, by their outcome.',
    labelNames: ['job', 'outcome'] as const,
    registers,
  })
  const success = new Gauge({
    name: 'varve_mirror_last_success_timestamp_seconds',
    help: 'When the newest run of the job that ended without a failure has ended, in any process.',
    labelNames: ofJob,
    registers,
  })
  const running = new Gauge({
    name: 'varve_mirror_running',
    help: 'Whether a run of the job goes on in this process, paused ones included.',
    labelNames: ofJob,
    registers,
  })
  const paused = new Gauge({
    name: 'varve_mirror_paused',
    help: 'Whether the run waits: for its window, or because its source asks for it.',
    labelNames: ofJob,
    registers,
  })
  const tags = new Counter({
    name: 'varve_mirror_tags_total',
    help: 'Tags by what became of them in runs: copied, unchanged, skipped, failed, deleted.',
    labelNames: ['job', 'outcome'] as const,
    registers,
  })
  const bytes = new Counter({
    name: 'varve_mirror_bytes_total',
    help: 'Bytes of blobs that were received from other registries, or sent to them.',
    labelNames: ['job', 'direction'] as const,
    registers,
  })
  const requests = new Counter({
    name: 'varve_mirror_requests_total',
    help: 'Requests to other registries, by what they asked for and the status of the answer (0: there was none).',
    labelNames: ['job', 'host', 'what', 'code'] as const,
    registers,
  })
  const quota = new Gauge({
    name: 'varve_mirror_source_pulls_remaining',
    help: 'Manifests that may still be pulled, as the registry has last said.',
    labelNames: ['registry'] as const,
    registers,
  })
  return {
    contentType: registry.contentType,
    text: async () => await registry.metrics(),
    state: (job, state) => {
      running.labels(job).set(state === 'idle' ? 0 : 1)
      paused.labels(job).set(state === 'paused' ? 1 : 0)
    },
    ended: (job, outcome) => runs.labels(job, outcome).inc(),
    succeeded: (job, at) => success.labels(job).set(at.getTime() / 1000),
    tag: (job, outcome) => tags.labels(job, outcome).inc(),
    bytes: (job, direction, count) => bytes.labels(job, direction).inc(count),
    request: (job, host, what, status) => requests.labels(job, host, what, String(status)).inc(),
    quota: (name, remaining) => quota.labels(name).set(remaining),
    forget: job => {
      for (const gauge of [success, running, paused]) gauge.remove(job)
    },
  }
}
