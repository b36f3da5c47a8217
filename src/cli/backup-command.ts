import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { counted } from '../counted.ts'
import { DomainError } from '../errors.ts'
import type { BackupListView, BackupRunView, BackupView } from '../registry/admin/backup-views.ts'
import { type AdminFlags, adminCommand } from './admin/options.ts'
import { administer, type Ask, moment, printDone } from './admin/run.ts'
import { formatBytes, formatTable } from './format.ts'
import { configOf } from './options.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'
import { abortOnSignals } from './signals.ts'

interface RunFlags extends AdminFlags {
  readonly to?: string
}

/** `backup`: copies of the database. */
export function backupCommand(): Command {
  const run = adminCommand('run', 'copy the database, and read the copy back')
    .option('--to <directory>', 'put it there instead of into the object store, and keep all that are there')
    .action(async (flags: RunFlags) => {
      if (flags.to !== undefined) return await runTo(flags.to, flags)
      await administer(flags, async ask => {
        const before = (await ask('backup.list', {})).backups[0]?.id
        const made = await finished(await ask('backup.run', {}), before, ask)
        printDone(flags, made, describeBackup(made))
      })
    })
  const list = adminCommand('list', 'list the backups that are in the object store').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('backup.list', {})
        if (flags.json === true) printJson(found)
        else print(describeList(found))
      })
    },
  )
  const verify = adminCommand('verify', 'read all of a backup and compare it with what was written')
    .argument('[id]', 'as the list shows it; the newest one unless given')
    .action(async (id: string | undefined, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const backup = id ?? newestOf(await ask('backup.list', {})).id
        let found: BackupView | null = null
        // A registry elsewhere answers after some seconds, whether it is done or not.
        while (found === null) found = (await ask('backup.verify', { backup })).backup
        printDone(flags, found, `${describeBackup(found)}: whole`)
      })
    })
  const command = new Command('backup').description('copy the database to where it survives this machine')
  command.addCommand(run, { isDefault: true })
  for (const each of [list, verify]) command.addCommand(each)
  return command
}

async function runTo(directory: string, flags: RunFlags): Promise<void> {
  if (flags.registry !== undefined)
    throw new DomainError(
      'invalid',
      '--to names a directory of this machine, so it does not go together with --registry.',
      { resource: 'config', name: '--to' },
    )
  const { signal } = abortOnSignals()
  const { config } = configOf(flags)
  const { backUpTo } = await import('./registry/backup-to.ts')
  const { viewOf } = await import('../registry/admin/views.ts')
  const { backupView } = await import('../registry/admin/backup-views.ts')
  const made = viewOf(backupView, await backUpTo(directory, config, { signal }))
  printDone(flags, made, `${describeBackup(made)}, in ${printable(directory)}`)
}

/** How often it is looked whether a backup has ended that a server makes. */
const lookMs = 2_000

/** @param before the newest one until then. @throws DomainError `unavailable` when it has ended without becoming one. */
async function finished(
  { outcome, backup }: BackupRunView,
  before: string | undefined,
  ask: Ask,
): Promise<BackupView> {
  if (outcome === 'done' && backup !== null) return backup
  for (;;) {
    const { isUnderWay, backups } = await ask('backup.list', {})
    const newest = backups[0]
    if (newest !== undefined && newest.id !== before) return newest
    if (!isUnderWay)
      throw new DomainError(
        'unavailable',
        'The backup could not be made; the log of the registry says why.',
        {
          resource: 'backup',
        },
      )
    await sleep(lookMs)
  }
}

function newestOf({ backups }: BackupListView): BackupView {
  const newest = backups[0]
  if (newest !== undefined) return newest
  throw new DomainError('not_found', 'There is no backup yet; make one with `varve backup`.', {
    resource: 'backup',
  })
}

export function describeBackup({ id, rows, size, isEncrypted }: BackupView): string {
  return `backup ${printable(id)}: ${counted(rows, 'row')} in ${formatBytes(size)}${isEncrypted ? ', encrypted' : ''}`
}

function describeList({ everyHours, isUnderWay, backups }: BackupListView): string {
  const lines = [
    everyHours === 0
      ? 'none is made by itself (backup.everyHours)'
      : `one is made every ${everyHours} hours${isUnderWay ? '; one is being made now' : ''}`,
  ]
  if (backups.length === 0) lines.push('there is none yet')
  else
    lines.push(
      formatTable(
        ['ID', 'MADE', 'SIZE', 'ROWS', 'DATABASE', 'VERSION', 'ENCRYPTED'],
        backups.map(each => [
          each.id,
          moment(each.madeAt),
          formatBytes(each.size),
          String(each.rows),
          each.engine,
          each.version,
          each.isEncrypted ? 'yes' : 'no',
        ]),
      ),
    )
  return lines.join('\n')
}
