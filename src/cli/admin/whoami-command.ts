import type { Command } from 'commander'
import { print, printJson } from '../print.ts'
import { type AdminFlags, adminCommand } from './options.ts'
import { administer } from './run.ts'

/** `whoami`: what the credentials are good for. */
export function whoamiCommand(): Command {
  return adminCommand('whoami', 'say who the credentials are, and what they are good for').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('whoami', {})
        if (flags.json === true) return printJson(found)
        const { account, isAdmin, credential, scopes, memberships } = found
        print(
          [
            `account     ${account}`,
            `credential  ${credential}`,
            `rights      ${isAdmin ? 'admin' : memberships.map(({ role, tenant }) => `${role} of ${tenant}`).join(', ') || 'none of its own'}`,
            `scopes      ${scopes?.map(({ actions, pattern }) => `${actions.join(',')} ${pattern}`).join('; ') ?? 'all that the account may'}`,
          ].join('\n'),
        )
      })
    },
  )
}
