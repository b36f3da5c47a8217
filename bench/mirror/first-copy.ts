import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '../../src/cli/format.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { startDockerRegistry } from '../registry/contender.ts'
import { median } from '../registry/measure.ts'
import { AccessLog, type Asked, formatKinds } from './access-log.ts'
import { mirrorContenders } from './contenders.ts'
import type { Programs } from './programs.ts'
import { pushImages } from './source.ts'
import { type Timed, timed } from './timed.ts'
import type { PassOptions } from './unchanged-tags.ts'

interface Result {
  readonly name: string
  readonly times: Timed[]
  asked: Asked
}

const nothing: Asked = { requests: 0, kinds: new Map(), bytes: 0 }

/** All images to a place that has none of them: wall time, processor time, and what the source is asked and sends. */
export async function compareFirst(programs: Programs, options: PassOptions): Promise<string[][]> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const origin = join(path, 'source')
  await mkdir(origin)
  const source = await startDockerRegistry(origin)
  stack.defer(() => source.stop())
  const log = new AccessLog(origin)
  const images = await pushImages(source.url, 'bench/app', options.shape)
  const results: Result[] = []
  for (let turn = 0; turn < options.runs; turn += 1)
    for (const { name, prepare } of mirrorContenders(programs))
      for (const referrers of name.startsWith('skopeo') ? [false] : [false, true]) {
        const shown = referrers ? `${name}, with referrers` : name
        if (!options.only.some(part => shown.includes(part))) continue
        const result = results.find(one => one.name === shown) ?? { name: shown, times: [], asked: nothing }
        if (result.times.length === 0) results.push(result)
        const directory = join(path, 'target')
        await mkdir(directory)
        await using started = new AsyncDisposableStack()
        started.defer(() => rm(directory, { recursive: true }))
        const host = new URL(source.url).host
        const plan = { directory, source: host, images, atOnce: options.atOnce, referrers, stack: started }
        const run = await prepare(plan)
        await log.take()
        result.times.push(await timed(run))
        result.asked = await log.take()
        console.log(
          `${shown}: ${result.times.at(-1)?.seconds.toFixed(2)} s, ${formatBytes(result.asked.bytes)}`,
        )
      }
  const ours = median(results[0]?.times.map(({ seconds }) => seconds) ?? [])
  return results.map(({ name, times, asked }) => {
    const seconds = median(times.map(time => time.seconds))
    const cpu = median(times.map(time => time.cpuSeconds))
    const ratio = `${(seconds / ours).toFixed(2)}×`
    const sent = formatBytes(asked.bytes)
    return [
      ...[name, `${seconds.toFixed(2)} s`, ratio, `${cpu.toFixed(2)} s`],
      ...[sent, String(asked.requests), formatKinds(asked)],
    ]
  })
}
