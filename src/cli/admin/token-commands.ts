import type { Command } from 'commander'
import { DomainError } from '../../errors.ts'
import {
  type AdminFlags,
  actionsOption,
  adminCommand,
  descriptionOption,
  expiresOption,
  orNull,
} from './options.ts'
import { administer, moment, printDone, printListing } from './run.ts'
import { once } from './shown-once.ts'
import { group } from './tenant-commands.ts'

interface TokenFlags extends AdminFlags {
  readonly description?: string
  readonly expires?: string
  readonly pattern?: string
  readonly actions?: ('pull' | 'push' | 'delete')[]
}

/** `token`: API tokens. */
export function tokenCommand(): Command {
  const create = adminCommand(
    'create',
    'make an API token, which is shown once and used in place of a password',
  )
    .argument('<account>')
    .addOption(descriptionOption())
    .addOption(expiresOption())
    .option('--pattern <pattern>', 'narrow it to repositories, such as acme/app-*')
    .addOption(actionsOption())
    .action(async (account: string, flags: TokenFlags) => {
      const { pattern, actions } = flags
      if (pattern === undefined && actions !== undefined)
        throw new DomainError('invalid', '--actions narrows a token only together with --pattern.', {
          resource: 'config',
          name: '--actions',
        })
      await administer(flags, async ask => {
        const made = await ask('token.create', {
          account,
          ...(flags.description === undefined ? {} : { description: flags.description }),
          ...(flags.expires === undefined ? {} : { expiresAt: orNull(flags.expires) }),
          ...(pattern === undefined ? {} : { scopes: [{ pattern, actions: actions ?? ['pull'] }] }),
        })
        const sentence = `made token ${made.credential.id} of ${account}\n${once('token', made.token)}`
        printDone(flags, made, sentence)
      })
    })
  const list = adminCommand('list', 'list the API tokens of an account')
    .argument('<account>')
    .action(async (account: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          (await ask('token.list', { account })).items,
          ['TOKEN', 'STATE', 'EXPIRES', 'LAST USED', 'SCOPES', 'DESCRIPTION'],
          ({ id, revokedAt, expiresAt, lastUsedAt, scopes, description }) => [
            id,
            stateOf(revokedAt, expiresAt),
            moment(expiresAt),
            moment(lastUsedAt),
            scopes?.map(scope => `${scope.actions.join(',')} ${scope.pattern}`).join('; ') ?? '-',
            description,
          ],
          `${account} has no tokens`,
        ),
      )
    })
  const revoke = adminCommand('revoke', 'end an API token, and what was got by it')
    .argument('<account>')
    .argument('<token>', 'its id')
    .action(async (account: string, token: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('token.revoke', { account, token })
        printDone(flags, { revoked: token }, `revoked token ${token} of ${account}`)
      })
    })
  return group('token', 'look after API tokens', [create, list, revoke])
}

function stateOf(revokedAt: string | null, expiresAt: string | null): string {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && new Date(expiresAt) <= new Date() ? 'expired' : 'good'
}
