import type { Command } from 'commander'
import type { MirrorJobView } from '../../registry/admin/mirror-views.ts'
import { type AdminFlags, adminCommand } from '../admin/options.ts'
import { administer, everything, moment, printDone, printListing } from '../admin/run.ts'
import { readMirrorJob } from './read-job.ts'
import { shownTotals } from './shown-totals.ts'

/** `mirror list`. */
export function listCommand(): Command {
  return adminCommand('list', 'list mirror jobs, when they run next, and how they ended last').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'mirror.list', {}),
          ['JOB', 'FROM', 'TO', 'NEXT', 'LAST', 'STATE', 'DONE'],
          rowOf,
          'no mirror jobs; varve mirror put makes one, and mirror.jobs of the configuration may have some',
        ),
      )
    },
  )
}

function rowOf({ name, source, target, last, ...job }: MirrorJobView): string[] {
  return [
    name,
    source ?? 'here',
    target ?? 'here',
    nextOf(job),
    moment(last?.startedAt ?? null),
    last?.state ?? '-',
    last === null ? '-' : shownTotals(last.totals),
  ]
}

function nextOf({
  isEnabled,
  isWished,
  nextStart,
}: Pick<MirrorJobView, 'isEnabled' | 'isWished' | 'nextStart'>) {
  if (isWished) return 'now'
  return isEnabled ? moment(nextStart) : 'disabled'
}

/** `mirror put`. */
export function putCommand(): Command {
  return adminCommand('put', 'make a mirror job, or put it in the place of the old one')
    .argument('<file>', 'YAML or JSON; docs/mirroring.md says what may stand in it')
    .action(async (file: string, flags: AdminFlags) => {
      const definition = await readMirrorJob(file)
      const { name } = definition
      await administer(flags, async ask => {
        const made = await ask('mirror.put', { job: name, definition })
        const next = made.nextStart === null ? '' : `; it runs next at ${moment(made.nextStart)} UTC`
        printDone(flags, made, `mirror job ${name} is kept${next}`)
      })
    })
}

/** `mirror rm`. */
export function rmCommand(): Command {
  return adminCommand('rm', 'delete a mirror job and what is remembered of its runs; images stay')
    .argument('<job>')
    .action(async (job: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('mirror.remove', { job })
        printDone(flags, { removed: job }, `deleted mirror job ${job}`)
      })
    })
}
