import type { Command } from 'commander'
import { MirrorTraffic } from '../../registry/mirror/mirror-traffic.ts'
import type { MirrorPlanStep } from '../../registry/mirror/run-job.ts'
import { exitCodes } from '../exit.ts'
import { type CommonFlags, commandWithConfig, configOf, jsonOption } from '../options.ts'
import { print } from '../print.ts'
import { printable, printableJson } from '../printable.ts'
import { abortOnSignals } from '../signals.ts'
import { jobChoice } from './job-choice.ts'

interface PlanFlags extends CommonFlags {
  readonly file?: string
  readonly all?: true
  readonly json?: true
}

/** `mirror plan`. */
export function planCommand(): Command {
  return commandWithConfig('plan', 'show what a run of a mirror job would do, and why; it changes nothing')
    .argument('[job]')
    .option('--file <file>', 'plan the job in this file (YAML or JSON)')
    .option('--all', 'show what is unchanged, too')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
It asks the job's source and target from here, as a run would, but copies nothing. (The newest by time, and
those signed, take a look at manifests.) Exit code 1 says that a run would fail somewhere.`,
    )
    .action(async (job: string | undefined, { file, ...flags }: PlanFlags) => {
      const choice = jobChoice(job, file)
      const { signal } = abortOnSignals()
      const { config } = configOf(flags)
      const [{ openMirror }, { planMirrorJob }] = await Promise.all([
        import('./open-mirror.ts'),
        import('../../registry/mirror/plan-mirror-job.ts'),
      ])
      await using opened = await openMirror(config, choice, signal)
      const { parts } = opened
      const traffic = new MirrorTraffic()
      const ends = await parts.open(opened.job, traffic)
      const counts = new Map<MirrorPlanStep['action'], number>()
      for await (const step of planMirrorJob(opened.job, {
        ...ends,
        records: parts.records,
        traffic,
        signal,
      })) {
        counts.set(step.action, (counts.get(step.action) ?? 0) + 1)
        if (flags.json === true) print(printableJson({ type: 'step', ...step }))
        else if (step.action !== 'unchanged' || flags.all === true) print(lineOf(step))
      }
      const { requests } = traffic
      if (flags.json === true)
        print(printableJson({ type: 'done', job: opened.job.name, requests, ...Object.fromEntries(counts) }))
      else print(summaryOf(counts, requests))
      if (counts.has('fail')) process.exitCode = exitCodes.failed
    })
}

function lineOf({ action, source, target, tag, reason }: MirrorPlanStep): string {
  const name = tag === null ? source : `${source}:${tag}`
  return printable(`${action.padEnd(9)} ${name} → ${target}: ${reason}`)
}

function summaryOf(counts: ReadonlyMap<string, number>, requests: number): string {
  const parts = [...counts].map(([action, count]) => `${count} ${action}`)
  return `${parts.join(', ') || 'nothing to do'}; asked by ${requests} requests`
}
