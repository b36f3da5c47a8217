import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { DomainError } from '../../errors.ts'
import type { MirrorRunView } from '../../registry/admin/mirror-views.ts'
import { type AdminFlags, adminCommand } from '../admin/options.ts'
import { type Ask, administer, printDone } from '../admin/run.ts'
import { exitCodes } from '../exit.ts'
import { configOf } from '../options.ts'
import { abortOnSignals } from '../signals.ts'
import { jobChoice } from './job-choice.ts'
import type { JobChoice } from './open-mirror.ts'
import { shownTotals } from './shown-totals.ts'

interface RunFlags extends AdminFlags {
  readonly file?: string
  readonly wait?: true
}

/** `mirror run`. */
export function runCommand(): Command {
  return adminCommand('run', 'run a mirror job now')
    .argument('[job]')
    .option('--file <file>', 'run the job in this file (YAML or JSON), without keeping it')
    .option('--wait', 'with --registry: wait until it has run')
    .addHelpText(
      'after',
      `
It runs in this process, and shows how far it is: bars on a terminal, JSON lines otherwise. With --registry
that registry runs it. Of all processes one runs a job at a time. Exit code 1 says that something was not
mirrored; varve mirror status says what, and why.`,
    )
    .action(async (job: string | undefined, { file, wait, ...flags }: RunFlags) => {
      const choice = jobChoice(job, file)
      if (flags.registry === undefined) await runHere(choice, flags)
      else await runThere(choice, wait ?? false, flags)
    })
}

async function runHere(choice: JobChoice, flags: AdminFlags): Promise<void> {
  const { signal } = abortOnSignals()
  const { config } = configOf(flags)
  const [{ openMirror }, { leadRun }, { systemName }, { createMirrorDisplay }] = await Promise.all([
    import('./open-mirror.ts'),
    import('../../registry/mirror/lead-run.ts'),
    import('../admin/system-audit.ts'),
    import('./run-display.ts'),
  ])
  await using opened = await openMirror(config, choice, signal)
  const { job, parts } = opened
  const display = createMirrorDisplay(process.stdout, flags.json ?? false)
  try {
    const led = await leadRun(job, parts, {
      beginning: async () => ({ trigger: 'command', by: systemName() }),
      observer: display.observer,
      onBegun: run => display.begun(run),
      signal,
    })
    if (led === undefined) throw runsElsewhere(job.name)
    display.done(led)
    // It ended in order, and is recorded; whoever pressed Ctrl-C is told by the exit code, as always.
    signal.throwIfAborted()
    if (led.isLost) throw runsElsewhere(job.name)
    if (led.outcome !== 'ok') process.exitCode = exitCodes.failed
  } finally {
    display.close()
  }
}

async function runThere({ name, file }: JobChoice, wait: boolean, flags: AdminFlags): Promise<void> {
  if (name === undefined)
    throw new DomainError(
      'invalid',
      `With --registry only jobs are run that it knows; varve mirror put ${file} makes it known there.`,
      { resource: 'config', name: '--file' },
    )
  await administer(flags, async ask => {
    const { last: before } = await ask('mirror.get', { job: name })
    const wish = await ask('mirror.run', { job: name })
    if (!wait) {
      printDone(flags, wish, `mirror job ${name} runs soon; varve mirror status ${name} shows how far it is`)
      return
    }
    const run = await ended(ask, name, before)
    printDone(flags, run, `${name}: ${run.state}: ${shownTotals(run.totals)}. ${run.reason ?? ''}`.trimEnd())
    if (run.state !== 'ok') process.exitCode = exitCodes.failed
  })
}

/** Between looks at how far it is. */
const waitMs = 1_000

/**
 * The first run that began after the wish, when it has ended; one that its registry begins anew is waited for as well.
 * @throws DomainError `not_found` for a job that was deleted meanwhile.
 */
async function ended(ask: Ask, job: string, before: MirrorRunView | null): Promise<MirrorRunView> {
  // One that was going on when the wish came is not it.
  for (;;) {
    const { last: newest } = await ask('mirror.get', { job })
    const isOurs = newest !== null && newest.id !== before?.id
    if (isOurs && !['running', 'paused', 'interrupted'].includes(newest.state)) return newest
    await sleep(waitMs)
  }
}

function runsElsewhere(job: string): DomainError {
  return new DomainError(
    'busy',
    `Another process runs the mirror job ${job} now; varve mirror status ${job} shows how far it is.`,
    { resource: 'mirror', name: job },
  )
}
