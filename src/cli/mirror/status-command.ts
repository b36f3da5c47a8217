import { type Command, InvalidArgumentError, Option } from 'commander'
import { DomainError } from '../../errors.ts'
import {
  type MirrorResultView,
  type MirrorRunView,
  resultOutcomes,
} from '../../registry/admin/mirror-views.ts'
import { type AdminFlags, adminCommand } from '../admin/options.ts'
import { type Ask, administer, everything, moment, printListing } from '../admin/run.ts'
import { formatBytes, formatTable, shortDigest } from '../format.ts'
import { print, printJson } from '../print.ts'
import { shownTotals } from './shown-totals.ts'

interface StatusFlags extends AdminFlags {
  readonly run?: string
  readonly results?: string | true
  readonly n: number
}

/** `mirror status`. */
export function statusCommand(): Command {
  return adminCommand('status', 'show how far the newest run of a mirror job is, or how runs ended')
    .argument('[job]', 'runs of all jobs are listed, unless it is given')
    .option('--run <id>', 'this run instead of the newest')
    .addOption(
      new Option(
        '--results [outcomes]',
        `what became of each tag: ${resultOutcomes.join(', ')}, comma-separated; all unless given`,
      ),
    )
    .addOption(new Option('-n <count>', 'runs or results at most').argParser(parseCount).default(50))
    .addHelpText(
      'after',
      `
Examples:
  varve mirror status debian
  varve mirror status debian --results failed,skipped --json`,
    )
    .action(async (job: string | undefined, flags: StatusFlags) => {
      await administer(flags, async ask => {
        if (job === undefined && flags.run === undefined) {
          if (flags.results !== undefined) throw resultsOfNone(flags.results)
          await listRuns(ask, flags)
          return
        }
        const run = await runOf(ask, job, flags.run)
        if (flags.results === undefined) await showRun(ask, run, flags)
        else await listResults(ask, run, flags)
      })
    })
}

async function listRuns(ask: Ask, flags: StatusFlags): Promise<void> {
  printListing(
    flags,
    await everything(ask, 'mirror.runs', {}, flags.n),
    ['RUN', 'JOB', 'BEGAN BY', 'STATE', 'DONE', 'REASON'],
    run => [run.id, run.job, beganBy(run), run.state, shownTotals(run.totals), run.reason ?? '-'],
    'no runs yet',
  )
}

/** The name of a job after the option is taken for outcomes. */
function resultsOfNone(given: string | true): DomainError {
  const job = given === true ? 'JOB' : given
  return new DomainError(
    'invalid',
    `--results are those of one run: name its job before the option (varve mirror status ${job} --results), or give --run.`,
    { resource: 'config', name: '--results' },
  )
}

/** @throws DomainError `not_found`. */
async function runOf(ask: Ask, job: string | undefined, id: string | undefined): Promise<MirrorRunView> {
  if (id !== undefined) {
    const run = await ask('mirror.status', { run: id })
    if (job === undefined || run.job === job) return run
    throw new DomainError('not_found', `The run ${id} is one of ${run.job}, not of ${job}.`, {
      resource: 'mirror',
      name: id,
    })
  }
  // Of a job that is only in a file there may be runs as well.
  const [newest] = (await ask('mirror.runs', { job: job ?? '', n: 1 })).items
  if (newest !== undefined) return newest
  await ask('mirror.get', { job: job ?? '' })
  throw new DomainError('not_found', `${job} has not run yet.`, { resource: 'mirror', name: job })
}

/** Failures that are shown with the run. */
const shownFailures = 20

async function showRun(ask: Ask, run: MirrorRunView, flags: StatusFlags): Promise<void> {
  if (flags.json === true) {
    printJson(run)
    return
  }
  const { totals } = run
  const rows = [
    ['job', run.job],
    ['run', run.id],
    ['began', `${moment(run.startedAt)} by ${beganBy(run)}`],
    ['state', run.reason === null ? run.state : `${run.state}: ${run.reason}`],
    ...(run.endedAt === null ? [] : [['ended', moment(run.endedAt)]]),
    ...(run.resumeAt === null ? [] : [['goes on', moment(run.resumeAt)]]),
    ['tags', shownTotals({ ...totals, bytesReceived: 0, bytesSent: 0 })],
    ['blobs', `${totals.blobsCopied} copied, ${totals.blobsMounted} mounted`],
    ['bytes', `${formatBytes(totals.bytesReceived)} received, ${formatBytes(totals.bytesSent)} sent`],
    ['requests', String(totals.requests)],
    ...(totals.pullsLeft === null ? [] : [['pulls left', `${totals.pullsLeft}, says the source`]]),
  ]
  print(formatTable([], rows))
  if (totals.failed === 0) return
  const failures = await everything(ask, 'mirror.results', { run: run.id, outcomes: 'failed' }, shownFailures)
  if (failures.length === 0) return
  print('')
  print(
    formatTable(
      ['FAILED', 'REASON'],
      failures.map(one => [nameOf(one), one.reason ?? '-']),
    ),
  )
  if (totals.failed > failures.length)
    print(`… ${totals.failed - failures.length} more; --results failed -n 1000 lists them`)
}

async function listResults(ask: Ask, run: MirrorRunView, flags: StatusFlags): Promise<void> {
  const outcomes = typeof flags.results === 'string' ? { outcomes: flags.results } : {}
  printListing(
    flags,
    await everything(ask, 'mirror.results', { run: run.id, ...outcomes }, flags.n),
    ['OUTCOME', 'SOURCE', 'TARGET', 'DIGEST', 'BYTES', 'REASON'],
    one => [
      one.outcome,
      nameOf(one),
      one.target,
      one.digest === null ? '-' : shortDigest(one.digest),
      formatBytes(one.bytes),
      one.reason ?? '-',
    ],
    'no results like these',
  )
}

function nameOf({ source, tag }: MirrorResultView): string {
  return tag === null ? source : `${source}:${tag}`
}

function beganBy({ trigger, by }: MirrorRunView): string {
  return by === null ? trigger : `${trigger} (${by})`
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number from 1 to 999999.')
}
