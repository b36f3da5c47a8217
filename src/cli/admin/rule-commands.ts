import { Argument, type Command, Option } from 'commander'
import { actions } from '../../storage/accounts/roles.ts'
import { exitCodes } from '../exit.ts'
import { type AdminFlags, actionsOption, adminCommand } from './options.ts'
import { administer, moment, printDone, printListing } from './run.ts'
import { group } from './tenant-commands.ts'

/** `grant`: what is allowed beside what roles allow. */
export function grantCommand(): Command {
  const add = adminCommand('add', 'allow actions in the repositories whose names fit a pattern')
    .argument('<tenant>')
    .argument('<subject>', 'an account, @accounts (every account), or @everybody')
    .argument('<pattern>', 'such as acme/base-*; * is any part of a segment, ** any part of the name')
    .addOption(actionsOption().default(['pull'], 'pull'))
    .action(
      async (
        tenant: string,
        subject: string,
        pattern: string,
        flags: AdminFlags & { actions: ('pull' | 'push' | 'delete')[] },
      ) => {
        await administer(flags, async ask => {
          const grant = await ask('grant.add', { tenant, subject, pattern, actions: flags.actions })
          printDone(flags, grant, `added grant ${grant.id}`)
        })
      },
    )
  const list = adminCommand('list', 'list the grants of a tenant')
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          (await ask('grant.list', { tenant })).items,
          ['GRANT', 'SUBJECT', 'ACTIONS', 'PATTERN', 'SINCE'],
          ({ id, subject, actions: allowed, pattern, createdAt }) => [
            id,
            subject,
            allowed.join(','),
            pattern,
            moment(createdAt),
          ],
          `${tenant} has no grants`,
        ),
      )
    })
  const rm = adminCommand('rm', 'take a grant away')
    .argument('<tenant>')
    .argument('<grant>', 'its id')
    .action(async (tenant: string, grant: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('grant.remove', { tenant, grant })
        printDone(flags, { removed: grant }, `removed grant ${grant}`)
      })
    })
  return group('grant', 'look after what is allowed beside what roles allow', [add, list, rm])
}

/** `rule`: immutable tags. */
export function ruleCommand(): Command {
  const add = adminCommand('add', 'make tags immutable: set once, and never changed or deleted')
    .argument('<tenant>')
    .argument('<repositories>', 'pattern, such as acme/**')
    .argument('<tags>', 'pattern, such as v*')
    .action(async (tenant: string, repositories: string, tags: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const rule = await ask('rule.add', { tenant, repositories, tags })
        printDone(flags, rule, `added rule ${rule.id}`)
      })
    })
  const list = adminCommand('list', 'list which tags of a tenant are immutable')
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          (await ask('rule.list', { tenant })).items,
          ['RULE', 'REPOSITORIES', 'TAGS', 'SINCE'],
          ({ id, repositories, tags, createdAt }) => [id, repositories, tags, moment(createdAt)],
          `${tenant} has no rules: all its tags may be changed`,
        ),
      )
    })
  const rm = adminCommand('rm', 'take a rule away')
    .argument('<tenant>')
    .argument('<rule>', 'its id')
    .action(async (tenant: string, rule: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('rule.remove', { tenant, rule })
        printDone(flags, { removed: rule }, `removed rule ${rule}`)
      })
    })
  return group('rule', 'look after which tags are immutable', [add, list, rm])
}

/** `access`: why somebody may do something, or may not; and what is public. */
export function accessCommand(): Command {
  const explain = adminCommand('explain', 'say whether an account may do something, and which rule decides')
    .argument('<account>', 'an account, or - for those without one')
    .addArgument(new Argument('<action>').choices(actions))
    .argument('<repository>')
    .addHelpText('after', '\nExit code 4 says that it is not allowed.')
    .action(
      async (account: string, action: (typeof actions)[number], repository: string, flags: AdminFlags) => {
        await administer(flags, async ask => {
          const decision = await ask('access.explain', {
            action,
            repository,
            ...(account === '-' ? {} : { account }),
          })
          printDone(flags, decision, `${decision.isAllowed ? 'allowed' : 'denied'}: ${decision.rule}`)
          if (!decision.isAllowed) process.exitCode = exitCodes.refused
        })
      },
    )
  const show = adminCommand('show', 'show who may see a repository')
    .argument('<repository>')
    .action(async (repository: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('repository.get', { repository })
        printDone(
          flags,
          found,
          `${repository} is ${found.visibility}, ${found.isOwn ? 'by its own setting' : `as its tenant ${found.tenant}`}`,
        )
      })
    })
  const set = adminCommand('set', 'make one repository public or private, whatever its tenant is')
    .argument('<repository>')
    .addOption(
      new Option('--visibility <visibility>', 'inherit: as its tenant')
        .choices(['private', 'public', 'inherit'])
        .makeOptionMandatory(),
    )
    .action(
      async (repository: string, flags: AdminFlags & { visibility: 'private' | 'public' | 'inherit' }) => {
        const visibility = flags.visibility === 'inherit' ? null : flags.visibility
        await administer(flags, async ask => {
          const found = await ask('repository.set', { repository, visibility })
          printDone(flags, found, `${repository} is now ${found.visibility}`)
        })
      },
    )
  return group('access', 'explain who may do what, and set who may see a repository', [explain, show, set])
}

/** `key`: what access tokens are signed with. */
export function keyCommand(): Command {
  const list = adminCommand('list', 'list the keys that access tokens are signed with, newest first').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          (await ask('key.list', {})).items,
          ['KEY', 'SINCE'],
          ({ id, createdAt }) => [id, moment(createdAt)],
          'no keys; the first token makes one',
        ),
      )
    },
  )
  const rotate = adminCommand('rotate', 'sign with a new key from now on; tokens of the old one stay good')
    .option('--forget-old', 'end the tokens of all old keys: for a key that somebody else may have')
    .action(async ({ forgetOld, ...flags }: AdminFlags & { readonly forgetOld?: true }) => {
      await administer(flags, async ask => {
        const { items } = await ask('key.rotate', { forgetOld })
        printDone(flags, items, `tokens are signed with ${items[0]?.id ?? 'a new key'} from now on`)
      })
    })
  return group('key', 'look after the keys that access tokens are signed with', [list, rotate])
}
