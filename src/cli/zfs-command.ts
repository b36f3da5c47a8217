import { Command } from 'commander'
import { DomainError } from '../errors.ts'
import type { Finding } from '../importer/chain/zfs/check-findings.ts'
import type { TrialStep } from '../importer/chain/zfs/zfs-trial.ts'
import { formatDuration, formatTable } from './format.ts'
import { type CommonFlags, commandWithConfig, configOf, jsonOption, poolOption } from './options.ts'
import { printable, printableJson } from './printable.ts'
import { abortOnSignals } from './signals.ts'

interface CheckFlags extends CommonFlags {
  readonly json?: true
  readonly try?: true
}

/** `zfs check`: what the pool can do, and what is in the way. */
export function zfsCommand(): Command {
  const check = commandWithConfig(
    'check',
    'show what the pool can do for chains and clones, and what is in the way',
  )
    .argument('[pool]', 'ZFS pool or dataset; the configured one when it is left out')
    .addOption(poolOption())
    .addOption(jsonOption())
    .option('--try', 'also make, clone and remove a small chain in the store')
    .action(async (pool: string | undefined, flags: CheckFlags) => {
      await runCheck(pool ?? configuredPool(flags), flags)
    })
  return new Command('zfs').description('look at the ZFS pool').addCommand(check)
}

function configuredPool(flags: CommonFlags): string {
  const { pool } = configOf(flags).config.importer
  if (pool !== undefined) return pool
  throw new DomainError(
    'invalid',
    'No pool is configured; name one: varve zfs check tank, or set importer.pool.',
    { resource: 'config', name: 'importer.pool' },
  )
}

async function runCheck(pool: string, flags: CheckFlags): Promise<void> {
  const { checkZfs } = await import('../importer/chain/zfs/zfs-check.ts')
  const { signal } = abortOnSignals()
  const { dataset, findings, isUsable } = await checkZfs({ dataset: pool, signal })
  const steps = flags.try === true && isUsable ? await trialOf(dataset, signal) : undefined
  const output =
    flags.json === true
      ? printableJson({ dataset, isUsable, findings, steps }, 2)
      : [tableOf(findings), ...(steps === undefined ? [] : [trialTable(steps)])].join('\n\n')
  process.stdout.write(`${output}\n`)
  const failed = steps?.find(({ failure }) => failure !== undefined)
  if (isUsable && failed === undefined) return
  throw new DomainError(
    'unavailable',
    failed === undefined
      ? `${dataset} cannot be used as it is: see the problems above.`
      : `${dataset} cannot be used: ${failed.failure ?? ''}`,
    { resource: 'pool', name: dataset },
  )
}

async function trialOf(dataset: string, signal: AbortSignal): Promise<TrialStep[]> {
  const [{ ZfsChainStore }, { tryStore }] = await Promise.all([
    import('../importer/chain/zfs/zfs-chain-store.ts'),
    import('../importer/chain/zfs/zfs-trial.ts'),
  ])
  await using store = await ZfsChainStore.open({ dataset, signal })
  return await tryStore(store, { signal })
}

function tableOf(findings: readonly Finding[]): string {
  return formatTable(
    ['CHECK', 'FOUND', 'RESULT', 'WHAT FOLLOWS'],
    findings.map(({ name, found, result, consequence }) => [name, found, result, consequence].map(printable)),
  )
}

function trialTable(steps: readonly TrialStep[]): string {
  return formatTable(
    ['TRIED', 'TIME', 'RESULT'],
    steps.map(({ name, milliseconds, failure }) => [
      name,
      formatDuration(milliseconds),
      printable(failure ?? 'ok'),
    ]),
  )
}
