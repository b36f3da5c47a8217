import { formatBytes, formatTable } from '../../src/cli/format.ts'
import { median } from '../registry/measure.ts'
import type { ImportContender } from './contender.ts'
import type { Usage } from './usage.ts'

export type Results = ReadonlyMap<ImportContender, readonly Usage[]>

/** Of wall time, ours by theirs. */
const aims: Readonly<Record<string, number>> = { 'tar -xpzf': 0.7, 'umoci unpack': 0.35 }
const memoryAim = 256 * 1024 ** 2

/** Medians, with the least and the most of the wall time; then how ours compare. */
export function formatResults(results: Results): string {
  const all = [...results]
  const rows = all.map(([{ name }, usages]) => [
    name,
    spread(usages, 'seconds'),
    spread(usages, 'onDiskSeconds'),
    seconds(usages, 'userSeconds'),
    seconds(usages, 'systemSeconds'),
    formatBytes(middle(usages, 'peakMemory')),
  ])
  const table = formatTable(['', 'WALL s', 'ON DISK s', 'USER s', 'SYS s', 'PEAK MEMORY'], rows)
  const ours = all.filter(([{ isOurs }]) => isOurs)
  const theirs = all.filter(([{ isOurs }]) => !isOurs)
  const ratios = ours.flatMap(([our, ourUsages]) => [
    `${our.name}: ${formatBytes(middle(ourUsages, 'peakMemory'))} of memory (aim: less than ${formatBytes(memoryAim)})`,
    ...theirs.map(([their, theirUsages]) => {
      const ratio = (key: keyof Usage): string =>
        (middle(ourUsages, key) / middle(theirUsages, key)).toFixed(2)
      const aim = aims[their.name]
      const wanted = aim === undefined ? '' : ` (aim: ${aim})`
      return `${our.name} / ${their.name}: ${ratio('seconds')} of the wall time, ${ratio('onDiskSeconds')} until it is on disk${wanted}`
    }),
  ])
  return [table, ...ratios].join('\n')
}

export function formatUsage(usage: Usage): string {
  const { userSeconds, systemSeconds } = usage
  const wall = `${usage.seconds.toFixed(2)} s, on disk ${usage.onDiskSeconds.toFixed(2)} s`
  return `${wall}, user ${userSeconds.toFixed(2)} s, sys ${systemSeconds.toFixed(2)} s, ${formatBytes(usage.peakMemory)}`
}

function middle(usages: readonly Usage[], key: keyof Usage): number {
  return median(usages.map(usage => usage[key]))
}

function seconds(usages: readonly Usage[], key: keyof Usage): string {
  return middle(usages, key).toFixed(2)
}

function spread(usages: readonly Usage[], key: keyof Usage): string {
  const values = usages.map(usage => usage[key])
  return `${seconds(usages, key)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`
}
