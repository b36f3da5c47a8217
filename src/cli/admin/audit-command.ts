import { type Command, InvalidArgumentError, Option } from 'commander'
import type { AuditView } from '../../registry/admin/views.ts'
import { parseDuration } from '../amounts.ts'
import { type AdminFlags, adminCommand } from './options.ts'
import { administer, everything, printListing } from './run.ts'

interface AuditFlags extends AdminFlags {
  readonly since?: string
  readonly until?: string
  readonly account?: string
  readonly target?: string
  readonly operation?: string
  readonly outcome?: AuditView['outcome']
  readonly n: number
}

/** `audit`: who did what. */
export function auditCommand(): Command {
  return adminCommand('audit', 'list who did what to which repository, from where, and by which rule')
    .addOption(new Option('--since <when>', 'a time ago such as 24h, or a moment').argParser(parseSince))
    .addOption(new Option('--until <when>', 'likewise: what came before then').argParser(parseSince))
    .option('--account <name>', 'what this account did, or was refused')
    .option('--target <name>', 'a repository, all of a tenant (acme/**), or tenant:acme, user:alice …')
    .option('--operation <name>', 'such as login, manifest.put, manifest.delete, tenant.create')
    .addOption(new Option('--outcome <outcome>', 'how it ended').choices(['allowed', 'denied', 'failed']))
    .addOption(new Option('-n <count>', 'entries at most').argParser(parseCount).default(50))
    .addHelpText(
      'after',
      `
Examples:
  varve audit --since 24h --outcome denied
  varve audit --target 'acme/**' --operation manifest.delete --json`,
    )
    .action(async (flags: AuditFlags) => {
      const { n, since, until, account, target, operation, outcome } = flags
      const filter = {
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
        ...(account === undefined ? {} : { account }),
        ...(target === undefined ? {} : { target }),
        ...(operation === undefined ? {} : { operation }),
        ...(outcome === undefined ? {} : { outcome }),
      }
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'audit.list', filter, n),
          ['TIME', 'OUTCOME', 'WHO', 'OPERATION', 'TARGET', 'STATUS', 'FROM', 'RULE'],
          rowOf,
          'no entries that fit',
        ),
      )
    })
}

function rowOf(entry: AuditView): string[] {
  const { at, outcome, operation, target, reference, status, address, rule } = entry
  return [
    at.slice(0, 19).replace('T', ' '),
    outcome,
    whoOf(entry),
    operation,
    targetOf(target, reference),
    status === undefined ? '-' : String(status),
    address === '' ? '-' : address,
    rule ?? '-',
  ]
}

function whoOf({ account, claimed }: AuditView): string {
  if (account !== undefined) return account
  return claimed === undefined ? '-' : `"${claimed}" (not proved)`
}

function targetOf(target: string | undefined, reference: string | undefined): string {
  if (target === undefined) return reference ?? '-'
  if (reference === undefined) return target
  return target.includes(':') ? `${target} ${reference}` : nameOf(target, reference)
}

/** As docker writes it. */
function nameOf(repository: string, reference: string): string {
  return `${repository}${reference.includes(':') ? '@' : ':'}${reference}`
}

/** An RFC 3339 moment. */
function parseSince(text: string): string {
  const seconds = parseDuration(text)
  if (typeof seconds === 'number') return new Date(Date.now() - seconds * 1000).toISOString()
  const moment = new Date(text)
  if (/^\d{4}-/.test(text) && !Number.isNaN(moment.getTime())) return moment.toISOString()
  throw new InvalidArgumentError('Write 24h, 30d, or a moment such as 2030-01-01T00:00:00Z.')
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number from 1 to 999999.')
}
