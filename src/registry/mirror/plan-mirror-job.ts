import { isDomainError } from '../../errors.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import { CreationTimes } from './creation-times.ts'
import { examineTag } from './examine-tag.ts'
import { mapAhead } from './in-parallel.ts'
import { type MirroredRepository, type ReadyJob, readyJob } from './mirrored-repository.ts'
import { surplusTags } from './prune-tags.ts'
import type { MirrorPlanContext, MirrorPlanStep, PlanMirrorJob } from './run-job.ts'
import { type MirrorTask, walkJob } from './walk-job.ts'

type Planned = { readonly steps: readonly MirrorPlanStep[] } | { readonly error: unknown }

export const planMirrorJob: PlanMirrorJob = planSteps

/** The steps of a run, without any of them being done. */
async function* planSteps(
  rules: MirrorJob,
  context: MirrorPlanContext,
): AsyncGenerator<MirrorPlanStep, void, undefined> {
  const job = readyJob(rules)
  const { source, target, signal, creationTimes = new CreationTimes() } = context
  const attempt = async <Answer>(question: () => Promise<Answer>): Promise<Answer> => await question()
  const tasks = walkJob(job, { source, target, times: creationTimes, attempt, signal })
  const planned = mapAhead(tasks, rules.limits.concurrency, task => plan(job, task, context))
  for await (const one of planned) {
    if ('error' in one) throw one.error
    yield* one.steps
  }
}

async function plan(job: ReadyJob, task: MirrorTask, context: MirrorPlanContext): Promise<Planned> {
  try {
    return { steps: await stepsOf(job, task, context) }
  } catch (error) {
    if (!isDomainError(error)) return { error }
    return { steps: [{ ...placeOf(task), action: 'fail', digest: null, reason: error.message }] }
  }
}

async function stepsOf(
  job: ReadyJob,
  task: MirrorTask,
  { records, now, signal }: MirrorPlanContext,
): Promise<readonly MirrorPlanStep[]> {
  const place = placeOf(task)
  if (task.kind === 'problem') {
    const action = task.outcome === 'failed' ? 'fail' : 'skip'
    return [{ ...place, action, digest: null, reason: task.reason }]
  }
  if (task.kind === 'end') {
    const surplus = await surplusTags(job, task.repository, { signal })
    return surplus.map(({ tag, action, reason }) => ({
      ...place,
      tag,
      action: action === 'delete' ? 'delete' : 'skip',
      digest: null,
      reason,
    }))
  }
  const options = { records, now: now?.() ?? new Date(), signal }
  const { action, digest, reason } = await examineTag(job, task.repository, task, options)
  return [{ ...place, action, digest, reason }]
}

function placeOf(task: MirrorTask): Pick<MirrorPlanStep, 'source' | 'target' | 'tag'> {
  if (task.kind === 'problem') return { source: task.source, target: task.target, tag: null }
  const { source, target }: MirroredRepository = task.repository
  return { source: source.label, target: target.label, tag: task.kind === 'tag' ? task.tag : null }
}
