import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { MirrorJobName, MirrorRun } from '../../../storage/metadata/mirror-records.ts'
import { nextStart } from '../../mirror/due.ts'
import { parseMirrorJobName, parseMirrorRunId } from '../../mirror/job-name.ts'
import { stateOf } from '../../mirror/lead-run.ts'
import type { KnownJob } from '../../mirror/mirror-jobs.ts'
import {
  mirrorJobView,
  mirrorResultView,
  mirrorRunView,
  mirrorWishView,
  wholeMirrorJobView,
} from '../mirror-views.ts'
import type { mirrorOperations } from '../operations/mirror.ts'
import { viewOf } from '../views.ts'
import { pageOf } from './pages.ts'
import type { AdminParts, Implementations } from './parts.ts'

/** What each operation on mirror jobs does. */
export function createMirrorAdministration({
  metadata,
  mirror,
}: AdminParts): Implementations<keyof typeof mirrorOperations> {
  /** One that has not ended and that nobody leads has died with its process. */
  const shown = async (run: MirrorRun, options: Abortable) => {
    if (run.outcome !== undefined || (await metadata.isMirrorJobLeased(run.job, options)))
      return shownRun(run)
    // It may have ended in between.
    const now = await metadata.getMirrorRun(run.id, options)
    return shownRun(now.outcome === undefined ? { ...now, ...interrupted } : now)
  }
  const shownJob = async (known: KnownJob, wished: ReadonlySet<MirrorJobName>, options: Abortable) => {
    const { job, origin, updatedAt } = known
    const name = parseMirrorJobName(job.name)
    const [last] = await metadata.listMirrorRuns({ job: name, limit: 1 }, options)
    const now = new Date()
    return {
      name,
      origin,
      isEnabled: job.enabled,
      source: job.source.registry ?? null,
      target: job.target.registry ?? null,
      cron: job.schedule?.cron ?? null,
      nextStart: nextStart({ ...known, last, knownSince: now, wish: undefined }, now) ?? null,
      isWished: wished.has(name),
      updatedAt,
      last: last === undefined ? null : await shown(last, options),
    }
  }
  const wishedJobs = async (options: Abortable) =>
    new Set((await metadata.listMirrorWishes(options)).map(({ job }) => job))
  const whole = async (job: string, options: Abortable) => {
    const known = await mirror.jobs.get(job, options)
    return viewOf(wholeMirrorJobView, {
      ...(await shownJob(known, await wishedJobs(options), options)),
      definition: known.job,
    })
  }
  return {
    'mirror.list': async (input, options) => {
      const known = await mirror.jobs.list(options)
      const wished = await wishedJobs(options)
      return await pageOf(
        input,
        mirrorJobView,
        async ({ limit, after = '' }) => {
          const those = known.filter(({ job }) => job.name > after).slice(0, limit)
          const page = []
          for (const one of those) page.push(await shownJob(one, wished, options))
          return page
        },
        ({ name }) => name,
      )
    },
    'mirror.get': async ({ job }, options) => await whole(job, options),
    'mirror.put': async ({ job, definition }, options) => {
      await mirror.jobs.put(definition, options)
      return await whole(job, options)
    },
    'mirror.remove': async ({ job }, options) => await mirror.jobs.remove(job, options),
    'mirror.run': async ({ job }, { actor, signal }) => {
      await mirror.jobs.get(job, { signal })
      const wish =
        actor.kind === 'system'
          ? ({ trigger: 'command', by: actor.name } as const)
          : ({ trigger: 'api', by: actor.identity.account } as const)
      await mirror.wish(job, wish, { signal })
      return viewOf(mirrorWishView, { job, wishedAt: new Date() })
    },
    'mirror.runs': async ({ job, n, last }, options) => {
      const before = last === undefined || last === '' ? undefined : parseMirrorRunId(last)
      return await pageOf(
        n === undefined ? {} : { n },
        mirrorRunView,
        async ({ limit }) =>
          await Promise.all(
            (await metadata.listMirrorRuns({ job, limit, before }, options)).map(
              async run => await shown(run, options),
            ),
          ),
        ({ id }) => id,
      )
    },
    'mirror.status': async ({ run }, options) =>
      viewOf(mirrorRunView, await shown(await metadata.getMirrorRun(run, options), options)),
    'mirror.results': async ({ run, n, last, outcomes }, options) => {
      await metadata.getMirrorRun(run, options)
      const after = last === undefined || last === '' ? undefined : serialIn(last)
      return await pageOf(
        n === undefined ? {} : { n },
        mirrorResultView,
        async ({ limit }) => await metadata.listMirrorResults(run, { limit, after, outcomes }, options),
        ({ serial }) => String(serial),
      )
    },
  }
}

/** As the next run records it of the one before, if there is a next. */
const interrupted = {
  outcome: 'interrupted',
  reason: 'The process that ran it is gone.',
  resumeAt: undefined,
} as const

function shownRun(run: MirrorRun) {
  return {
    ...run,
    state: stateOf(run),
    reason: run.reason ?? null,
    endedAt: run.endedAt ?? null,
    resumeAt: run.resumeAt ?? null,
    totals: { ...run.totals, pullsLeft: run.totals.pullsLeft ?? null },
  }
}

function serialIn(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new DomainError('invalid', `last=${text.slice(0, 32)} is no serial of a result.`, {
    resource: 'mirror',
    name: 'last',
  })
}
