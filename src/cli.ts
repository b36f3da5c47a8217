#!/usr/bin/env node
import { Command } from 'commander'
import { adminCommands } from './cli/admin/commands.ts'
import { manifestCommand } from './cli/admin/manifest-commands.ts'
import { tagCommand } from './cli/admin/tag-commands.ts'
import { adoptCommand } from './cli/adopt-command.ts'
import { backupCommand } from './cli/backup-command.ts'
import { configCommand } from './cli/config-command.ts'
import { copyCommand } from './cli/copy-command.ts'
import { databaseCommand } from './cli/database-command.ts'
import { describeFailure, exitCodes } from './cli/exit.ts'
import { gcCommand } from './cli/gc-command.ts'
import { historyCommand } from './cli/history-command.ts'
import { imageCommands } from './cli/image-commands.ts'
import { mirrorCommand } from './cli/mirror/mirror-commands.ts'
import { openApiCommand } from './cli/openapi-command.ts'
import { pruneCommand } from './cli/prune-command.ts'
import { reconcileCommand, restoreCommand } from './cli/restore-command.ts'
import { retentionCommand } from './cli/retention/retention-command.ts'
import { scrubCommand } from './cli/scrub-command.ts'
import { serverCommands } from './cli/server-commands.ts'
import { storageCommand } from './cli/storage-command.ts'
import { trustCommand } from './cli/trust-command.ts'
import { zfsCommand } from './cli/zfs-command.ts'
import { errnoOf } from './errors.ts'
import { version } from './version.ts'

const program = new Command('varve')
  .description('Container image registry and layer-to-ZFS importer: push an image, clone it in milliseconds.')
  .version(version)
  .configureHelp({ showGlobalOptions: false })
  .commandsGroup('Servers:')
for (const command of serverCommands()) program.addCommand(command.helpGroup('Servers:'))
for (const command of imageCommands()) program.addCommand(command.helpGroup('Images and clones:'))
for (const command of [pruneCommand(), historyCommand()])
  program.addCommand(command.helpGroup('Images and clones:'))
for (const command of adminCommands()) program.addCommand(command.helpGroup('Who may do what:'))
program.addCommand(adoptCommand().helpGroup('Content:'))
program.addCommand(mirrorCommand().helpGroup('Content:'))
program.addCommand(copyCommand().helpGroup('Content:'))
program.addCommand(trustCommand().helpGroup('Content:'))
for (const command of [tagCommand(), manifestCommand()]) program.addCommand(command.helpGroup('Content:'))
program.addCommand(gcCommand().helpGroup('Content:'))
program.addCommand(retentionCommand().helpGroup('Content:'))
program.addCommand(scrubCommand().helpGroup('Content:'))
program.addCommand(backupCommand().helpGroup('Content:'))
program.addCommand(restoreCommand().helpGroup('Content:'))
program.addCommand(reconcileCommand().helpGroup('Content:'))
program.addCommand(configCommand().helpGroup('Configuration:'))
program.addCommand(storageCommand().helpGroup('Configuration:'))
program.addCommand(zfsCommand().helpGroup('Configuration:'))
program.addCommand(databaseCommand().helpGroup('Configuration:'))
program.addCommand(openApiCommand().helpGroup('Configuration:'))
program.addHelpText(
  'after',
  `
Images and clones are those of the agent that --agent names, or of the one that listens on its socket on
this machine. --pool is one of its pools, or one that it does not have: that is used directly, as is the
directory of --chains.

Exit codes: 0 success, 1 failed, 2 wrong usage or configuration, 3 not found, 4 refused,
5 conflict or busy, 6 not reachable, 130 interrupted.

Examples:
  varve up --pool tank
  varve import localhost:5000/debian:12
  varve clone localhost:5000/debian:12 web1`,
)
exitWithUsageCode(program)
// Whoever reads us may stop reading (`varve images | head -1`); what was begun is still ended in order.
process.stdout.on('error', error => {
  if (errnoOf(error) !== 'EPIPE') throw error
})

try {
  await program.parseAsync()
} catch (error) {
  const { message, exitCode } = describeFailure(error)
  process.stderr.write(`${message}\n`)
  process.exitCode = exitCode
}

/** Subcommands do not inherit this. */
function exitWithUsageCode(command: Command): void {
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? exitCodes.success : exitCodes.usage))
  for (const subcommand of command.commands) exitWithUsageCode(subcommand)
}
