import { Counter, Gauge, type Registry } from 'prom-client'

/** What pull-through does, under the names of distribution where it has them. Names of upstreams are the configuration's. */
export interface ProxyMetrics {
  /** A GET was answered: from what is here, or by asking upstream for it. */
  answered(type: 'manifest' | 'blob', answer: 'hit' | 'miss'): void
  /** Bytes that have come from an upstream. */
  pulled(type: 'manifest' | 'blob', bytes: number): void
  /** Bytes that answers promise to clients. */
  pushed(type: 'manifest' | 'blob', bytes: number): void
  /** @param answer one of a few words: how a request for a blob was answered. */
  blob(upstream: string, answer: string): void
  /** A fetch of a blob has ended. @param outcome one of a few words. */
  blobFetched(upstream: string, outcome: string): void
  /** The last copy was served, because upstream could not be asked. */
  stale(upstream: string): void
  /** Upstream was asked. @param outcome one of a few words. */
  asked(upstream: string, outcome: string): void
  /** What upstream has said of how much may still be pulled. */
  quota(upstream: string, remaining: number): void
  /** Asked whenever somebody wants the metrics. */
  observe(states: () => readonly { readonly name: string; readonly closedSeconds: number }[]): void
}

export function createProxyMetrics(registry: Registry): ProxyMetrics {
  const registers = [registry]
  const ofType = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['type'] as const, registers })
  const ofUpstream = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['upstream'] as const, registers })
  const requests = ofType('registry_proxy_requests_total', 'GETs of what upstreams have.')
  const hits = ofType('registry_proxy_hits_total', 'Those of them that were answered from what is here.')
  const misses = ofType('registry_proxy_misses_total', 'Those of them for which upstream was asked.')
  const pulled = ofType('registry_proxy_pulled_bytes_total', 'Bytes that have come from upstreams.')
  const pushed = ofType('registry_proxy_pushed_bytes_total', 'Bytes of answers to those GETs.')
  const blobs = new Counter({
    name: 'varve_upstream_blobs_total',
    help: 'Requests for blobs of upstreams, by how they were answered.',
    labelNames: ['upstream', 'answer'] as const,
    registers,
  })
  const fetches = new Counter({
    name: 'varve_upstream_blob_fetches_total',
    help: 'Fetches of blobs that have ended, by how.',
    labelNames: ['upstream', 'outcome'] as const,
    registers,
  })
  const questions = new Counter({
    name: 'varve_upstream_questions_total',
    help: 'Questions to upstreams, by how they have ended (closed: not asked, for it wants to be left alone).',
    labelNames: ['upstream', 'outcome'] as const,
    registers,
  })
  const stale = ofUpstream(
    'varve_upstream_stale_total',
    'Last copies that were served without asking upstream.',
  )
  const quota = new Gauge({
    name: 'varve_upstream_pulls_left',
    help: 'How many manifests upstream lets us pull, as it has last said.',
    labelNames: ['upstream'] as const,
    registers,
  })
  return {
    answered: (type, answer) => {
      requests.labels(type).inc()
      const counter = answer === 'hit' ? hits : misses
      counter.labels(type).inc()
    },
    pulled: (type, bytes) => pulled.labels(type).inc(bytes),
    pushed: (type, bytes) => pushed.labels(type).inc(bytes),
    blob: (upstream, answer) => blobs.labels(upstream, answer).inc(),
    blobFetched: (upstream, outcome) => fetches.labels(upstream, outcome).inc(),
    stale: upstream => stale.labels(upstream).inc(),
    asked: (upstream, outcome) => questions.labels(upstream, outcome).inc(),
    quota: (upstream, remaining) => quota.labels(upstream).set(remaining),
    observe: states => {
      new Gauge({
        name: 'varve_upstream_closed_seconds',
        help: 'For how long the upstream is left alone; 0 when it is asked.',
        labelNames: ['upstream'] as const,
        registers,
        collect() {
          for (const { name, closedSeconds } of states()) this.labels(name).set(closedSeconds)
        },
      })
    },
  }
}
