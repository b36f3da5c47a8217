import { Command, Option } from 'commander'
import { DomainError } from '../../errors.ts'
import type { RetentionVerdictView } from '../../registry/admin/retention-views.ts'
import { type AdminFlags, adminCommand } from '../admin/options.ts'
import { administer, everything, moment, printDone, printListing } from '../admin/run.ts'
import { print, printJson } from '../print.ts'
import { printable } from '../printable.ts'
import { describePolicy, describeStatus, describeTick } from './retention-display.ts'
import { type PolicyFlags, parseCount, parsePatterns, parseTime, policyOf } from './policy-flags.ts'

/** `retention`: which tags go by themselves. */
export function retentionCommand(): Command {
  const command = new Command('retention').description('look after which tags go by themselves, and when')
  for (const each of [list(), add(), remove(), plan(), run(), status()]) command.addCommand(each)
  return command
}

function list(): Command {
  return adminCommand('list', "list the policies of a tenant, and the configuration's")
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          (await ask('retention.list', { tenant })).items,
          ['POLICY', 'OF', 'SINCE', 'SAYS'],
          ({ id, tenant: of, createdAt, policy }) => [
            id,
            of ?? '(configuration)',
            moment(createdAt),
            describePolicy(policy),
          ],
          `${tenant} has no retention policies: its tags stay`,
        ),
      )
    })
}

function add(): Command {
  const time = (flag: string, description: string) => new Option(flag, description).argParser(parseTime)
  const patterns = (flag: string, description: string) =>
    new Option(flag, description).argParser(parsePatterns)
  return adminCommand('add', 'add a policy: of one rule by flags, or any by --file')
    .argument('<tenant>')
    .option('--file <file>', 'the policy as YAML or JSON, as docs/retention.md describes it')
    .addOption(
      patterns('--repositories <patterns>', 'which repositories, comma-separated; TENANT/** unless given'),
    )
    .addOption(patterns('--tags <patterns>', 'which tags, such as pr-*,nightly-*; all unless given'))
    .addOption(patterns('--except <patterns>', 'but not these tags'))
    .addOption(new Option('--keep-newest <count>', 'how many stay').argParser(parseCount))
    .addOption(new Option('--by <what>', 'what is newest').choices(['push', 'pull']))
    .addOption(time('--pushed-within <time>', 'what was pushed within this time stays, such as 30d'))
    .addOption(time('--pulled-within <time>', 'what was pulled within this time stays'))
    .option('--keep-always', 'they stay')
    .option('--drop-always', 'they go')
    .addOption(time('--untagged-after <time>', 'when manifests without a tag go'))
    .addOption(time('--delay <time>', 'nothing goes that is younger'))
    .option('--dry-run', 'only show what would go (varve retention plan)')
    .action(async (tenant: string, flags: AdminFlags & PolicyFlags & { readonly file?: string }) => {
      const policy =
        flags.file === undefined
          ? policyOf(tenant, flags)
          : await (await import('./read-policy.ts')).readPolicy(flags.file)
      await administer(flags, async ask => {
        const added = await ask('retention.add', { tenant, policy })
        printDone(flags, added, `added policy ${added.id}`)
      })
    })
}

function remove(): Command {
  return adminCommand('rm', 'remove a policy')
    .argument('<tenant>')
    .argument('<policy>', 'its id')
    .action(async (tenant: string, policy: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('retention.remove', { tenant, policy })
        printDone(flags, { removed: policy }, `removed policy ${policy}`)
      })
    })
}

function plan(): Command {
  return adminCommand('plan', 'show what a run would do in a repository, and why; it changes nothing')
    .argument('<repository>')
    .option('--only-going', 'leave out what is kept')
    .action(async (repository: string, flags: AdminFlags & { readonly onlyGoing?: true }) => {
      await administer(flags, async ask => {
        const all = await everything(ask, 'retention.plan', { repository })
        printListing(
          flags,
          flags.onlyGoing === true ? all.filter(({ outcome }) => outcome !== 'kept') : all,
          ['TAG', 'OUTCOME', 'SET', 'PULLED', 'WHY'],
          planRow,
          flags.onlyGoing === true ? `nothing of ${repository} goes` : `${repository} has no tags`,
        )
      })
    })
}

function planRow({
  tag,
  digest,
  outcome,
  since,
  pulledAt,
  expiresAt,
  reason,
}: RetentionVerdictView): string[] {
  const expiry = expiresAt === null ? '' : ` (goes ${moment(expiresAt)} by itself)`
  return [
    tag ?? digest,
    outcome === 'wouldGo' ? 'would go' : outcome,
    moment(since),
    moment(pulledAt),
    printable(reason) + expiry,
  ]
}

function run(): Command {
  return adminCommand('run', 'apply all policies now').action(async (flags: AdminFlags) => {
    await administer(flags, async ask => {
      for (;;) {
        const tick = await ask('retention.run', {})
        if (tick.outcome === 'elsewhere') throw atWork()
        if (tick.outcome === 'paused') throw paused()
        if (flags.json === true) printJson(tick)
        else print(describeTick(tick))
        if (tick.outcome !== 'more') return
      }
    })
  })
}

function status(): Command {
  return adminCommand('status', 'show what the last run has dropped, and when the next begins').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('retention.status', {})
        printDone(flags, found, describeStatus(found))
      })
    },
  )
}

function atWork(): DomainError {
  return new DomainError('busy', 'Another process is applying policies at this moment; try again.', {
    resource: 'rule',
  })
}

function paused(): DomainError {
  return new DomainError(
    'conflict',
    'Nothing is dropped while the garbage collection is paused; let it go on with `varve gc resume`.',
    { resource: 'rule' },
  )
}
