/** `make chaos [SECONDS=600] [SEED=…]`: exits with 1 when a promise was broken. */
import { randomInt } from 'node:crypto'
import { skipWithoutReplicas } from '../support/replicated-registry.ts'
import { formatReport, progressLine } from './report.ts'
import { runChaos } from './run-chaos.ts'

const [secondsText = '600', seedText = String(randomInt(2 ** 31))] = process.argv.slice(2)
const [seconds, seed] = [Number(secondsText), Number(seedText)]
const reason = await skipWithoutReplicas()
if (reason !== false) throw new Error(reason)
console.log(`Chaos for ${seconds} seconds with seed ${seed}.`)
const report = await runChaos({ seconds, seed, onProgress: tally => console.log(progressLine(tally)) })
console.log(formatReport(report, seed))
process.exitCode = report.violations.length + report.mistakes.length > 0 ? 1 : 0
