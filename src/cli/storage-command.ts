import { Command } from 'commander'
import type { Config } from '../config.ts'
import { DomainError } from '../errors.ts'
import type { StoreCheck } from '../storage/objects/s3/probe.ts'
import { formatTable } from './format.ts'
import { type CommonFlags, commandWithConfig, configOf, jsonOption } from './options.ts'
import { printable, printableJson } from './printable.ts'

/** `storage check`: what the object store can do, found out by doing it. */
export function storageCommand(): Command {
  const check = commandWithConfig('check', 'try out what the object store can do, and leave nothing behind')
    .addOption(jsonOption())
    .action(async (flags: CommonFlags & { json?: true }) => {
      const { config } = configOf(flags)
      const { isUsable, ...found } = await probe(config)
      process.stdout.write(
        `${flags.json ? printableJson({ isUsable, ...found }, 2) : tableOf(found.checks)}\n`,
      )
      if (!isUsable)
        throw new DomainError(
          'unavailable',
          'The object store cannot be used as it is: see the checks that failed.',
          {
            resource: 'object',
          },
        )
    })
  return new Command('storage').description('look at the object store').addCommand(check)
}

async function probe({ storage }: Config) {
  const { s3Options } = await import('./registry/stores.ts')
  const options = s3Options(storage)
  if (options === undefined)
    throw new DomainError(
      'invalid',
      'The driver filesystem has nothing to find out; storage.driver: s3 or manta has.',
      { resource: 'config', name: 'storage.driver' },
    )
  const { probeStore } = await import('../storage/objects/s3/probe.ts')
  return await probeStore(options)
}

function tableOf(checks: readonly StoreCheck[]): string {
  return formatTable(
    ['CHECK', 'RESULT', 'NEEDED', 'DETAIL'],
    checks.map(({ name, isOk, isRequired, detail }) => [
      name,
      isOk ? 'ok' : 'failed',
      isRequired ? 'yes' : 'no',
      printable(detail),
    ]),
  )
}
