import { type Command, Option } from 'commander'
import { type Role, roles } from '../../storage/accounts/roles.ts'
import {
  type AdminFlags,
  actionsOption,
  adminCommand,
  descriptionOption,
  expiresOption,
  orNull,
} from './options.ts'
import { administer, everything, moment, printDone, printListing } from './run.ts'
import { once } from './shown-once.ts'
import { group } from './tenant-commands.ts'

interface RobotFlags extends AdminFlags {
  readonly description?: string
  readonly expires?: string
  readonly pattern?: string
  readonly actions?: ('pull' | 'push' | 'delete')[]
  readonly role?: Role
}

/** `robot`: programs. */
export function robotCommand(): Command {
  const create = adminCommand('create', 'make a robot of a tenant, and its first token, which is shown once')
    .argument('<tenant>')
    .argument('<name>', 'the robot is TENANT+NAME')
    .addOption(new Option('--role <role>', 'make it a member with this role').choices(roles))
    .option('--pattern <pattern>', 'instead of a role: repositories that it may use, such as acme/app-*')
    .addOption(actionsOption())
    .addOption(descriptionOption())
    .addOption(expiresOption())
    .action(async (tenant: string, name: string, flags: RobotFlags) => {
      const { role, pattern, actions = ['pull'] } = flags
      await administer(flags, async ask => {
        const made = await ask('robot.create', {
          tenant,
          name,
          ...(role === undefined ? {} : { role }),
          ...(pattern === undefined ? {} : { grants: [{ pattern, actions }] }),
          ...(flags.description === undefined ? {} : { description: flags.description }),
          ...(flags.expires === undefined ? {} : { expiresAt: orNull(flags.expires) }),
        })
        printDone(flags, made, `made robot ${made.account.name}\n${once('token', made.token)}`)
      })
    })
  const list = adminCommand('list', 'list the robots of a tenant')
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'robot.list', { tenant }),
          ['ROBOT', 'STATE', 'EXPIRES', 'LAST USED', 'DESCRIPTION'],
          ({ name, isDisabled, expiresAt, lastUsedAt, description }) => [
            name,
            isDisabled ? 'disabled' : 'enabled',
            moment(expiresAt),
            moment(lastUsedAt),
            description,
          ],
          `${tenant} has no robots`,
        ),
      )
    })
  const rm = adminCommand('rm', 'delete a robot with its tokens')
    .argument('<tenant>')
    .argument('<name>', 'what comes after the + in its name')
    .action(async (tenant: string, robot: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('robot.delete', { tenant, robot })
        printDone(flags, { deleted: `${tenant}+${robot}` }, `deleted robot ${tenant}+${robot}`)
      })
    })
  return group('robot', 'look after robots, which are accounts for programs', [create, list, rm])
}
