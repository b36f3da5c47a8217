/** `make fuzz [COUNT=1000000] [SEED=1]`: exits with 1 when something has no explanation. */
import { availableParallelism } from 'node:os'
import { isAbort } from '../../../src/errors.ts'
import { useCompileCache } from '../../support/compile-cache.ts'
import { skipWithoutJail } from './oracle.ts'
import { formatRun, type RunReport, runArchives } from './run.ts'

useCompileCache()
const [count = 1_000_000, seed = 1] = process.argv.slice(2).map(Number)
const reason = await skipWithoutJail()
if (reason !== false) throw new Error(reason)
console.log(`${count} archives with seed ${seed}.`)
const stopped = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopped.abort())
const begun = performance.now()
let told = begun
let shown = 0
try {
  const report = await runArchives({
    count,
    seed,
    processes: availableParallelism(),
    signal: stopped.signal,
    onProgress: so => {
      for (const failure of so.failures.slice(shown)) console.log(failure)
      shown = so.failures.length
      if (performance.now() - told < 10_000) return
      told = performance.now()
      console.log(progressLine(so))
    },
  })
  console.log(formatRun(report))
  console.log(progressLine(report))
  process.exitCode = report.failures.length > 0 ? 1 : 0
} catch (error) {
  if (!isAbort(error)) throw error
  process.exitCode = 130
}

function progressLine({ counts, failures }: RunReport): string {
  const done = counts.compared ?? 0
  const seconds = (performance.now() - begun) / 1000
  return `${done} of ${count} in ${Math.round(seconds)} s, ${Math.round(done / seconds)}/s, ${failures.length} unexplained`
}
