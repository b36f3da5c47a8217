import { type Command, InvalidArgumentError, Option } from 'commander'
import { isComplete } from '../storage/adopt/adopt-report.ts'
import { exitCodes } from './exit.ts'
import { type CommonFlags, commandWithConfig, configOf, jsonOption } from './options.ts'
import { parseAdoptSource } from './registry/adopt-source.ts'
import { abortOnSignals } from './signals.ts'

interface AdoptFlags extends CommonFlags {
  readonly from: string
  readonly trust?: true
  readonly parallel: number
  readonly json?: true
}

/** `varve adopt`: the content of a registry of distribution's, from its storage. */
export function adoptCommand(): Command {
  return commandWithConfig('adopt', 'take over the content of a registry:2 or :3 from its storage')
    .addOption(
      new Option('--from <storage>', 'filesystem:DIRECTORY or s3://BUCKET/PREFIX').makeOptionMandatory(),
    )
    .option('--trust', 'do not read blobs that need not be copied: faster, but damaged ones are not found')
    .addOption(
      new Option('--parallel <count>', 'blobs in hand at once').argParser(parseCount).default(4, '4'),
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Run it as the user that the registry runs as. It changes nothing in the old storage, and may be run
again: once ahead of time, and once more when the old registry has stopped. Exit code 1 says that
something was left out; each such thing is a line of the output.`,
    )
    .action(async (flags: AdoptFlags) => {
      const { config } = configOf(flags)
      const source = parseAdoptSource(flags.from)
      const { signal } = abortOnSignals()
      const { adoptInto } = await import('./registry/adopt.ts')
      const { createAdoptDisplay } = await import('./adopt-display.ts')
      const display = createAdoptDisplay(process.stdout, flags.json ?? false)
      try {
        const report = await adoptInto(config, source, {
          trust: flags.trust ?? false,
          parallel: flags.parallel,
          signal,
          onEvent: event => display.onEvent(event),
        })
        display.done(report)
        if (!isComplete(report)) process.exitCode = exitCodes.failed
      } finally {
        display.close()
      }
    })
}

function parseCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 256) return count
  throw new InvalidArgumentError('write a number from 1 to 256')
}
