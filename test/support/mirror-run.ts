import { type MirrorJob, mirrorJobSchema } from '../../src/mirror-job.ts'
import { CreationTimes } from '../../src/registry/mirror/creation-times.ts'
import { newMirrorRunId } from '../../src/registry/mirror/job-name.ts'
import { MirrorTraffic } from '../../src/registry/mirror/mirror-traffic.ts'
import { planMirrorJob } from '../../src/registry/mirror/plan-mirror-job.ts'
import type {
  MirrorPlanStep,
  MirrorRunContext,
  MirrorRunEnd,
  MirrorSource,
  MirrorTarget,
} from '../../src/registry/mirror/run-job.ts'
import { runMirrorJob } from '../../src/registry/mirror/run-mirror-job.ts'
import { copyImage } from '../../src/storage/images/copy-image.ts'
import type { MirroredTag, MirrorProgress, MirrorResult } from '../../src/storage/metadata/mirror-records.ts'

/** What a run remembers, in memory. */
export class MemoryMirrorRecords {
  readonly notes = new Map<string, MirroredTag>()
  readonly results: MirrorResult[] = []
  readonly saved: MirrorProgress[] = []

  async findMirroredTag(job: string, target: string, tag: string): Promise<MirroredTag | undefined> {
    return this.notes.get(`${job} ${target} ${tag}`)
  }

  async noteMirroredTag(job: string, target: string, tag: string, note: MirroredTag): Promise<void> {
    this.notes.set(`${job} ${target} ${tag}`, note)
  }

  async addMirrorResults(_run: string, results: readonly MirrorResult[]): Promise<void> {
    this.results.push(...results)
  }

  async saveMirrorRun(_run: string, progress: MirrorProgress): Promise<void> {
    this.saved.push(progress)
  }

  /** `tag outcome`, in the order of the tags, since the last call. */
  takeOutcomes(): string[] {
    return this.results
      .splice(0)
      .map(({ tag, outcome }) => `${tag ?? '-'} ${outcome}`)
      .sort()
  }
}

/** As it would be written, with all that is not given by default. */
export function mirrorJob(given: Record<string, unknown> = {}): MirrorJob {
  return mirrorJobSchema.parse({
    name: 'nightly',
    source: { registry: 'upstream.example' },
    target: {},
    repositories: ['acme/web'],
    ...given,
  })
}

/** Jobs that run one after the other, on a clock that only pauses move. */
export class MirrorBench {
  readonly source: MirrorSource
  readonly target: MirrorTarget
  readonly records = new MemoryMirrorRecords()
  readonly times = new CreationTimes()
  readonly pauses: { readonly seconds: number; readonly reason: string }[] = []
  clock = Date.parse('2026-01-01T00:00:00Z')

  constructor(source: MirrorSource, target: MirrorTarget) {
    this.source = source
    this.target = target
  }

  async run(job: MirrorJob, more: Partial<MirrorRunContext> = {}): Promise<MirrorRunEnd> {
    return await runMirrorJob(job, {
      source: this.source,
      target: this.target,
      records: this.records,
      traffic: new MirrorTraffic(),
      creationTimes: this.times,
      run: newMirrorRunId(new Date()),
      copyImage,
      now: () => new Date(this.clock),
      random: () => 0,
      maxRetryPauseMs: 0,
      pause: async (until, reason) => {
        this.pauses.push({ seconds: Math.round((until.getTime() - this.clock) / 1000), reason })
        this.clock = until.getTime()
      },
      ...more,
    })
  }

  async plan(job: MirrorJob): Promise<MirrorPlanStep[]> {
    return await Array.fromAsync(this.steps(job))
  }

  steps(job: MirrorJob, signal?: AbortSignal): AsyncIterable<MirrorPlanStep> {
    return planMirrorJob(job, {
      source: this.source,
      target: this.target,
      records: this.records,
      traffic: new MirrorTraffic(),
      creationTimes: this.times,
      now: () => new Date(this.clock),
      signal,
    })
  }
}
