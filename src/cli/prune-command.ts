import { type Command, InvalidArgumentError } from 'commander'
import { counted } from '../counted.ts'
import { DomainError } from '../errors.ts'
import type { PruneReport } from '../importer/import-service.ts'
import { parseDuration, parseSize } from './amounts.ts'
import { formatBytes, formatTable, shortDigest } from './format.ts'
import { openImportService } from './open-import-service.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { printableJson } from './printable.ts'
import { abortOnSignals } from './signals.ts'

interface PruneFlags extends CommonFlags {
  readonly unused?: number
  readonly target?: number
  readonly dryRun?: true
  readonly json?: true
}

/** `prune`: makes room by removing what was not used for longest. */
export function pruneCommand(): Command {
  return importerCommand('prune', 'remove images that were not used for long; what has clones stays')
    .option(
      '--unused <time>',
      'only those that were not used for so long, such as 30d',
      argument(parseDuration),
    )
    .option(
      '--target <size>',
      'the least recently used first, until all take no more than this, such as 50G',
      argument(parseSize),
    )
    .option('--dry-run', 'tell what would be removed, and remove nothing')
    .addOption(jsonOption())
    .action(async (flags: PruneFlags) => {
      const { unused: unusedSeconds, target: targetBytes, dryRun = false, json = false } = flags
      if (unusedSeconds === undefined && targetBytes === undefined)
        throw new DomainError(
          'invalid',
          'Without a bound nothing is removed; give --unused 30d, --target 50G, or both.',
          {
            resource: 'config',
            name: '--unused',
          },
        )
      const { signal } = abortOnSignals()
      await using service = await openImportService(configOf(flags).config, flags, { signal })
      const report = await service.prune({ unusedSeconds, targetBytes, dryRun }, { signal })
      process.stdout.write(`${json ? printableJson(report, 2) : describePrune(report, dryRun)}\n`)
    })
}

/** For people: what went, what stayed and why, and what it gave. */
export function describePrune(report: PruneReport, dryRun: boolean): string {
  const { removed, kept, orphanedChains, usedBytesBefore, usedBytesAfter } = report
  const freed = formatBytes(Math.max(0, usedBytesBefore - usedBytesAfter))
  const result = `${formatBytes(usedBytesBefore)} before, ${formatBytes(usedBytesAfter)} ${dryRun ? 'then' : 'now'}`
  const sections = [
    removed.length === 0
      ? ''
      : formatTable(
          [dryRun ? 'WOULD REMOVE' : 'REMOVED', 'DIGEST', 'LAYERS', 'LAST USED'],
          removed.map(({ names, manifestDigest, removedChains, lastUsedAt }) => [
            names.join(', ') || '<none>',
            shortDigest(manifestDigest),
            String(removedChains),
            lastUsedAt.toISOString(),
          ]),
        ),
    kept.length === 0
      ? ''
      : formatTable(
          ['KEPT', 'BECAUSE'],
          kept.map(({ image, reason }) => [image, reason]),
        ),
    orphanedChains === 0
      ? ''
      : `${dryRun ? 'would remove' : 'removed'} ${counted(orphanedChains, 'layer')} that no image has`,
    `${dryRun ? 'would free' : 'freed'} ${freed}: ${result}`,
  ]
  return sections.filter(section => section !== '').join('\n\n')
}

/** For commander, which says which option it was. */
function argument(parse: (text: string) => number | string): (text: string) => number {
  return text => {
    const value = parse(text)
    if (typeof value === 'string') throw new InvalidArgumentError(value)
    return value
  }
}
