import type { Tally } from './ledger.ts'
import type { ChaosReport } from './run-chaos.ts'

/** One line of what has happened so far. */
export function progressLine(tally: Readonly<Tally>): string {
  return `${tally.pushesAcknowledged} pushes, ${tally.pulls} pulls, ${tally.deletes} deletes; ${tally.refused} refused with 503, ${tally.broken} connections broken`
}

/** The whole story, for people. */
export function formatReport(report: ChaosReport, seed: number): string {
  const faults = Object.entries(report.faults).toSorted(([a], [b]) => a.localeCompare(b, 'en'))
  const lines = [
    `seed                   ${seed}`,
    `pushes acknowledged    ${report.pushesAcknowledged} (${megabytes(report.bytesPushed)})`,
    `pushes in doubt        ${report.pushesUnsure}`,
    `uploads resumed        ${report.resumed}`,
    `pulls                  ${report.pulls} (${megabytes(report.bytesPulled)})`,
    `deletes                ${report.deletes}`,
    `refused with 503       ${report.refused}`,
    `connections broken     ${report.broken}`,
    `replicas killed        ${report.kills}`,
    `database restarts      ${report.databaseRestarts}`,
    `bucket outages         ${report.storeOutages}`,
    `faults of the bucket   ${faults.map(([fault, count]) => `${fault} ${count}`).join(', ')}`,
    `checked in the end     ${report.itemsChecked}`,
    `lost, wrong or not allowed: ${report.violations.length}; mistakes in the log: ${report.mistakes.length}`,
  ]
  return [...lines, ...report.violations, ...report.mistakes].join('\n')
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}
