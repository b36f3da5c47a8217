import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import type { AdminParts } from '../../registry/admin/service/parts.ts'
import { JoinedRuns } from '../../registry/joined-runs.ts'
import { noCounts } from '../../registry/scrub/scrub-counts.ts'
import type { ScrubReport } from '../../registry/scrub/scrubber.ts'
import type { Stores } from './stores.ts'

/** Scrubs for requests: one object may take longer to read than anybody waits for an answer. */
export class ServedScrub implements AsyncDisposable {
  readonly #runs: JoinedRuns<ScrubReport>
  readonly tick: AdminParts['scrub']['tick']

  constructor(config: Config, stores: Stores, log: Logger) {
    this.#runs = new JoinedRuns({
      onFailure: error => log.error({ error }, 'a check that somebody has asked for has failed'),
    })
    this.tick = async (asked, options) => {
      // It is asked for now and then.
      const { scrubNow } = await import('./scrub-now.ts')
      // What begins a pass is written down, and only then joined.
      if (asked.begins || asked.takesAll) {
        const { takesAll } = asked
        await stores.metadata.requestScrub(takesAll, options)
      }
      const going = { ...asked, begins: false, takesAll: false }
      const report = await this.#runs.join(
        'scrub',
        ({ signal }) => scrubNow(config, stores, going, { log, signal }),
        options,
      )
      if (report === undefined) return { outcome: 'more', ...noCounts }
      if (report.outcome !== 'done' && report.outcome !== 'stopped') return report
      // One that nobody has waited for, and that ended before this pass began, says nothing of it.
      const { place, pass } = await stores.metadata.scrubState(options)
      return place !== null && pass.stoppedAt === null ? { ...report, outcome: 'more' } : report
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runs[Symbol.asyncDispose]()
  }
}
