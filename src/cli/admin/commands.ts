import type { Command } from 'commander'
import { auditCommand } from './audit-command.ts'
import { repositoryCommand } from './repository-commands.ts'
import { robotCommand } from './robot-commands.ts'
import { accessCommand, grantCommand, keyCommand, ruleCommand } from './rule-commands.ts'
import { memberCommand, tenantCommand } from './tenant-commands.ts'
import { tokenCommand } from './token-commands.ts'
import { userCommand } from './user-commands.ts'
import { whoamiCommand } from './whoami-command.ts'

/** Who may use the registry, and for what. */
export function adminCommands(): Command[] {
  return [
    tenantCommand(),
    repositoryCommand(),
    memberCommand(),
    userCommand(),
    robotCommand(),
    tokenCommand(),
    grantCommand(),
    ruleCommand(),
    accessCommand(),
    auditCommand(),
    keyCommand(),
    whoamiCommand(),
  ]
}
