/**
 * One process of a run: `worker.ts ASSIGNMENT`, which is JSON. Sends a {@link WorkerMessage} after each chunk. What each of
 * its lanes is at is in `DIRECTORY/laneN/current`, for whoever has to end it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startedFinisher } from '../../support/started-finisher.ts'
import { Comparison } from './comparison.ts'
import { checkFamily, type Family, families } from './families.ts'
import { Oracle } from './oracle.ts'
import { type Assignment, chunkArchives, type WorkerMessage } from './run.ts'
import { Subject } from './subject.ts'

// Nobody is left to tell.
process.on('disconnect', () => process.exit())

const assignment = JSON.parse(process.argv[2] ?? '{}') as Assignment

async function runLane(directory: string, next: () => number | undefined): Promise<void> {
  mkdirSync(directory)
  using subject = new Subject(directory, await startedFinisher())
  await using gnu = await Oracle.start('gnu', join(directory, 'gnu'))
  await using bsd = await Oracle.start('bsd', join(directory, 'bsd'))
  for (let chunk = next(); chunk !== undefined; chunk = next()) {
    const comparison = new Comparison(subject, [gnu, bsd])
    const counts: Partial<Record<Family, number>> = {}
    const failures: string[] = []
    for (const family of Object.keys(families) as Family[]) {
      const count = Math.ceil((chunkArchives * families[family]) / 1000)
      const seed = Math.imul(assignment.seed, 1_000_003) + chunk
      const failure = await checkFamily(
        family,
        { seed, count },
        {
          subject,
          comparison,
          onArchive: shown =>
            writeFileSync(join(directory, 'current'), `${family}, seed ${seed}\n${shown()}`),
        },
      )
      counts[family] = count
      if (failure !== undefined) failures.push(failure)
    }
    const message: WorkerMessage = { counts, explained: [...comparison.explained], failures }
    process.send?.(message)
  }
}

let chunk = assignment.first
function nextChunk(): number | undefined {
  if (chunk >= assignment.chunks) return undefined
  const own = chunk
  chunk += assignment.step
  return own
}

await Promise.all(
  Array.from({ length: assignment.lanes }, (_, lane) =>
    runLane(join(assignment.directory, `lane${lane}`), nextChunk),
  ),
)
process.exit()
