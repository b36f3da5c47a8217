import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { startDockerRegistry } from '../registry/contender.ts'
import { median } from '../registry/measure.ts'
import { AccessLog, formatKinds } from './access-log.ts'
import { mirrorContenders } from './contenders.ts'
import type { Programs } from './programs.ts'
import { pushImages, type Shape } from './source.ts'
import { type Timed, timed } from './timed.ts'

export interface PassOptions {
  readonly shape: Shape
  readonly atOnce: number
  readonly runs: number
  /** Parts of the names of those that are wanted. */
  readonly only: readonly string[]
}

/** A pass over tags of which none has changed since the last one: wall time, processor time, and what the source is asked. */
export async function compareUnchanged(programs: Programs, options: PassOptions): Promise<string[][]> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const origin = join(path, 'source')
  await mkdir(origin)
  const source = await startDockerRegistry(origin)
  stack.defer(() => source.stop())
  const log = new AccessLog(origin)
  const images = await pushImages(source.url, 'bench/app', options.shape)
  const passes: { name: string; run: () => Promise<void>; kinds: string; times: Timed[] }[] = []
  for (const [index, { name, prepare }] of mirrorContenders(programs).entries()) {
    if (!options.only.some(part => name.includes(part))) continue
    const directory = join(path, String(index))
    await mkdir(directory)
    const plan = { directory, source: new URL(source.url).host, images, referrers: true, stack }
    const run = await prepare({ ...plan, atOnce: options.atOnce })
    await run()
    passes.push({ name, run, kinds: '', times: [] })
  }
  for (let turn = 0; turn < options.runs; turn += 1)
    for (const pass of passes) {
      await log.take()
      pass.times.push(await timed(pass.run))
      const asked = await log.take()
      pass.kinds = formatKinds(asked)
      if (pass.name.startsWith('varve'))
        assert.deepEqual(
          [...asked.kinds],
          [['HEAD manifests', images.repositories.length * images.tags.length]],
          'an unchanged tag costs one HEAD, and nothing else',
        )
      console.log(`${pass.name}: ${pass.times.at(-1)?.seconds.toFixed(2)} s; ${pass.kinds}`)
    }
  const ours = median(passes[0]?.times.map(({ seconds }) => seconds) ?? [])
  return passes.map(({ name, kinds, times }) => {
    const seconds = median(times.map(time => time.seconds))
    const cpu = median(times.map(time => time.cpuSeconds))
    return [name, `${seconds.toFixed(2)} s`, `${(seconds / ours).toFixed(2)}×`, `${cpu.toFixed(2)} s`, kinds]
  })
}
