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
    .action((flags: CommonFlags & { json?: true }) => {
      const { settings } = configOf(flags)
      const text = flags.json
        ? printableJson(settings, 2)
        : formatTable(
            ['SETTING', 'VALUE', 'FROM', 'ENVIRONMENT VARIABLE'],
            settings.map(({ key, value, source, environment }) => [
              key,
              value === undefined ? '-' : JSON.stringify(value),
              source,
              environment,
            ]),
          )
      process.stdout.write(`${text}\n`)
    })
  return new Command('config').description('look at the configuration').addCommand(check)
}
