import { Command } from 'commander'
import { formatTable } from './format.ts'
import {
  addressOption,
  type CommonFlags,
  chainsOption,
  commandWithConfig,
  configOf,
  jsonOption,
  metricsAddressOption,
  poolOption,
  socketOption,
} from './options.ts'
import { printableJson } from './printable.ts'

/** `config check`: what is in force, and why. */
export function configCommand(): Command {
  const check = commandWithConfig('check', 'print the effective settings and where each came from')
    .addOption(addressOption())
    .addOption(metricsAddressOption())
    .addOption(poolOption())
    .addOption(chainsOption())
    .addOption(socketOption())
    .addOption(jsonOption())
    .action(async (flags: CommonFlags & { json?: true }) => {
      const { config, settings } = configOf(flags)
      if (config.mirror.jobs.length > 0) {
        const { checkConfiguredJobs } = await import('./registry/mirror-jobs.ts')
        checkConfiguredJobs(config)
      }
      const text = flags.json
        ? printableJson(settings, 2)
        : formatTable(
            ['SETTING', 'VALUE', 'FROM', 'ENVIRONMENT VARIABLE'],
            settings.map(({ key, value, source, environment }) => [key, shown(value), source, environment]),
          )
      process.stdout.write(`${text}\n`)
    })
  return new Command('config').description('look at the configuration').addCommand(check)
}

/** Characters of a list, in a table. */
const longestList = 100

/** Of a long list only the beginning, for a table is as wide as its longest cell; JSON has all of it. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? '-'
  return typeof value === 'object' && text.length > longestList ? `${text.slice(0, longestList - 1)}…` : text
}
