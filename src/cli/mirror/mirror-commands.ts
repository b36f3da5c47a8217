import type { Command } from 'commander'
import { group } from '../admin/tenant-commands.ts'
import { listCommand, putCommand, rmCommand } from './job-commands.ts'
import { planCommand } from './plan-command.ts'
import { runCommand } from './run-command.ts'
import { statusCommand } from './status-command.ts'

/** `mirror`: copies of other registries, kept fresh. */
export function mirrorCommand(): Command {
  return group('mirror', 'copy images from other registries, or to them, again and again', [
    listCommand(),
    statusCommand(),
    planCommand(),
    runCommand(),
    putCommand(),
    rmCommand(),
  ])
}
