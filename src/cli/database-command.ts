import { Command } from 'commander'
import { type CommonFlags, commandWithConfig, configOf } from './options.ts'

/** `db migrate`: for those whose servers may not change the schema (`database.migrate: false`). */
export function databaseCommand(): Command {
  const migrate = commandWithConfig('migrate', 'bring the schema of the database up to date').action(
    async (flags: CommonFlags) => {
      const { config } = configOf(flags)
      const { openMetadata } = await import('./registry/stores.ts')
      await using _metadata = await openMetadata(config, { migrate: true })
      process.stdout.write('the schema is up to date\n')
    },
  )
  return new Command('db').description('look after the database').addCommand(migrate)
}
