import type { Command } from 'commander'
import { counted } from '../counted.ts'
import { formatBytes } from './format.ts'
import { type CommonFlags, commandWithConfig, configOf, jsonOption } from './options.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'
import type { RestoreChoice, RestoreReport } from './registry/restore.ts'
import { abortOnSignals } from './signals.ts'

interface RestoreFlags extends CommonFlags {
  readonly from?: string
  readonly replace?: true
  readonly revokeTokens?: true
  readonly unencrypted?: true
  readonly reconcile: boolean
  readonly json?: true
}

/** `restore`: a database from a backup, and what is wrong with the objects then. */
export function restoreCommand(): Command {
  return commandWithConfig('restore', 'make a database from a backup, and compare it with the object store')
    .argument('[backup]', 'its ID, latest, or a path (with a / in it) of the data of one', 'latest')
    .option('--from <directory>', 'take it from a directory that `varve backup --to` has written')
    .option('--replace', 'move a SQLite database with content aside; nothing of it is deleted')
    .option('--revoke-tokens', 'end all tokens and forget the keys that sign them')
    .option('--unencrypted', 'take a backup that is not encrypted although backup.keyFile is set')
    .option('--no-reconcile', 'do not compare the database with the object store; run `varve scrub` then')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
The database is the one of the configuration, and so is the object store. No registry may be running.
Blobs whose object is gone are quarantined: they are pushed again, or found by \`varve scrub\`.`,
    )
    .action(async (backup: string, flags: RestoreFlags) => {
      const { signal } = abortOnSignals()
      const { config } = configOf(flags)
      const { restore } = await import('./registry/restore.ts')
      const choice: RestoreChoice = {
        backup,
        from: flags.from,
        replaces: flags.replace === true,
        revokesTokens: flags.revokeTokens === true,
        acceptsUnencrypted: flags.unencrypted === true,
        reconciles: flags.reconcile,
      }
      const report = await restore(config, choice, { signal })
      if (flags.json === true) printJson(report)
      else print(describe(report))
    })
}

/** `reconcile`: for an object store that was put back to an earlier day. */
export function reconcileCommand(): Command {
  return commandWithConfig('reconcile', 'compare the database with the object store, both ways')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
For when the object store was put back to an earlier day. Blobs whose object is gone are quarantined, however
many they are; objects without a blob are read, and heal those whose bytes they have. Nothing is deleted.`,
    )
    .action(async (flags: CommonFlags & { readonly json?: true }) => {
      const { signal } = abortOnSignals()
      const { config } = configOf(flags)
      const { reconcileStores } = await import('./registry/restore.ts')
      const report = await reconcileStores(config, { signal })
      if (flags.json === true) printJson(report)
      else print(describeReconciled(report).join('\n'))
    })
}

function describe({ backup, madeAt, rows, size, movedTo, reconciled }: RestoreReport): string {
  const lines = [
    `restored ${printable(backup)} of ${madeAt}: ${counted(rows, 'row')}${size === null ? '' : ` from ${formatBytes(size)}`}`,
  ]
  if (movedTo !== null) lines.push(`the database that was there is ${printable(movedTo)} now`)
  if (reconciled === null) lines.push('not compared with the object store; run `varve scrub run`')
  else lines.push(...describeReconciled(reconciled))
  return lines.join('\n')
}

function describeReconciled(report: NonNullable<RestoreReport['reconciled']>): string[] {
  const { blobs, objects, missing, corrupt, healed, strays, unsettled } = report
  const lines = [
    `${counted(blobs, 'blob')} compared with ${counted(objects, 'object')}: ${missing} missing, ${corrupt} of another size, ${healed} found elsewhere`,
  ]
  if (missing + corrupt > healed)
    lines.push('what is missing is not served; push it again, `varve scrub faults` lists it')
  if (strays > 0)
    lines.push(
      `kept for now, as of no blob that is known: ${counted(strays, 'object')}; \`varve scrub strays\` lists them`,
    )
  if (unsettled > 0) lines.push(`${counted(unsettled, 'object')} could not be read; run \`varve scrub run\``)
  return lines
}
