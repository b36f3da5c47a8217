import { type Command, Option } from 'commander'
import { DomainError } from '../../errors.ts'
import { print, printJson } from '../print.ts'
import { printable } from '../printable.ts'
import {
  type AdminFlags,
  adminCommand,
  descriptionOption,
  expiresOption,
  orNull,
  parseYes,
  passwordFileOption,
} from './options.ts'
import { readPassword } from './read-password.ts'
import { administer, everything, moment, printDone, printListing } from './run.ts'
import { once } from './shown-once.ts'
import { group } from './tenant-commands.ts'

interface UserFlags extends AdminFlags {
  readonly passwordFile?: string
  readonly currentPasswordFile?: string
  /** False: `--no-password`. */
  readonly password?: boolean
  readonly admin?: boolean
  readonly disabled?: boolean
  readonly description?: string
  readonly expires?: string
}

/** `user`: people. */
export function userCommand(): Command {
  const create = adminCommand('create', 'make a user; a password is made and shown once unless one is given')
    .argument('<user>')
    .addOption(passwordFileOption())
    .option('--no-password', 'no password opens it: only API tokens do')
    .option('--admin', 'may do everything')
    .addOption(descriptionOption())
    .addOption(expiresOption())
    .action(async (name: string, flags: UserFlags) => {
      const password =
        flags.passwordFile === undefined
          ? flags.password === false
            ? null
            : undefined
          : await readPassword(flags.passwordFile)
      await administer(flags, async ask => {
        const made = await ask('user.create', {
          name,
          ...(password === undefined ? {} : { password }),
          ...(flags.admin === undefined ? {} : { isAdmin: flags.admin }),
          ...(flags.description === undefined ? {} : { description: flags.description }),
          ...(flags.expires === undefined ? {} : { expiresAt: orNull(flags.expires) }),
        })
        const secret = made.password === null ? '' : `\n${once('password', made.password)}`
        printDone(flags, made, `made user ${name}${secret}`)
      })
    })
  const list = adminCommand('list', 'list users').action(async (flags: AdminFlags) => {
    await administer(flags, async ask =>
      printListing(
        flags,
        await everything(ask, 'user.list', {}),
        ['USER', 'RIGHTS', 'STATE', 'EXPIRES', 'LAST USED', 'DESCRIPTION'],
        ({ name, isAdmin, isDisabled, expiresAt, lastUsedAt, description }) => [
          name,
          isAdmin ? 'admin' : '-',
          isDisabled ? 'disabled' : 'enabled',
          moment(expiresAt),
          moment(lastUsedAt),
          description,
        ],
        'no users; varve user create makes the first',
      ),
    )
  })
  const show = adminCommand('show', 'show a user')
    .argument('<user>')
    .action(async (user: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('user.get', { user })
        if (flags.json === true) return printJson(found)
        print(
          [
            `user         ${found.name}`,
            `description  ${printable(found.description)}`,
            `rights       ${found.isAdmin ? 'admin' : 'those of its memberships and grants'}`,
            `state        ${found.isDisabled ? 'disabled' : 'enabled'}`,
            `expires      ${moment(found.expiresAt)}`,
            `last used    ${moment(found.lastUsedAt)}`,
            `made         ${moment(found.createdAt)}`,
          ].join('\n'),
        )
      })
    })
  const set = adminCommand('set', 'change a user')
    .argument('<user>')
    .addOption(new Option('--admin <yes|no>', 'whether it may do everything').argParser(parseYes))
    .addOption(new Option('--disabled <yes|no>', 'whether it is locked out').argParser(parseYes))
    .addOption(descriptionOption())
    .addOption(expiresOption())
    .action(async (user: string, flags: UserFlags) => {
      await administer(flags, async ask => {
        const changed = await ask('user.update', {
          user,
          ...(flags.admin === undefined ? {} : { isAdmin: flags.admin }),
          ...(flags.disabled === undefined ? {} : { isDisabled: flags.disabled }),
          ...(flags.description === undefined ? {} : { description: flags.description }),
          ...(flags.expires === undefined ? {} : { expiresAt: orNull(flags.expires) }),
        })
        printDone(flags, changed, `changed user ${user}`)
      })
    })
  const rm = adminCommand('rm', 'delete a user with its memberships, grants and tokens')
    .argument('<user>')
    .action(async (user: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('user.delete', { user })
        printDone(flags, { deleted: user }, `deleted user ${user}`)
      })
    })
  const password = adminCommand('password', 'set a password; one is made and shown once unless it is given')
    .argument('<user>')
    .addOption(passwordFileOption())
    .option('--current-password-file <file>', 'with the present one, for the own password over --registry')
    .action(async (user: string, flags: UserFlags) => {
      const { passwordFile, currentPasswordFile } = flags
      if (passwordFile === '-' && currentPasswordFile === '-')
        throw new DomainError('invalid', 'Only one of both passwords can come from standard input.', {
          resource: 'config',
          name: '--current-password-file',
        })
      const given = passwordFile === undefined ? {} : { password: await readPassword(passwordFile) }
      const current =
        currentPasswordFile === undefined ? {} : { current: await readPassword(currentPasswordFile) }
      await administer(flags, async ask => {
        const answer = await ask('user.password', { user, ...given, ...current })
        const secret = answer.password === null ? '' : `\n${once('password', answer.password)}`
        printDone(flags, answer, `set the password of ${user}${secret}`)
      })
    })
  return group('user', 'look after users', [create, list, show, set, rm, password])
}
