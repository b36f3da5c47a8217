import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '../../src/cli/format.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { exec } from '../../test/support/process.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { varveProgram } from '../../test/support/varve.ts'
import { startDockerRegistry } from '../registry/contender.ts'
import { pushBlob, putManifest } from '../registry/content.ts'
import { median } from '../registry/measure.ts'
import { Noise } from '../storage/noise.ts'
import { pushNoise } from '../storage/push-noise.ts'
import { homeIn } from './contenders.ts'
import type { Programs } from './programs.ts'
import { type Timed, timed } from './timed.ts'

export interface LargeOptions {
  readonly layers: number
  /** Of each layer. */
  readonly bytes: number
  readonly runs: number
  /** Parts of the names of those that are wanted. */
  readonly only: readonly string[]
}

/** One large image from one docker-registry to another, by a program that is started for it. */
export async function compareLarge({ crane }: Programs, options: LargeOptions): Promise<string[][]> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const origin = join(path, 'source')
  await mkdir(origin)
  const source = await startDockerRegistry(origin)
  stack.defer(() => source.stop())
  await pushLarge(source.url, options)
  const from = `${new URL(source.url).host}/bench/large:1`
  const env = homeIn({ directory: path })
  const copies: Readonly<Record<string, (to: string) => Promise<unknown>>> = {
    'varve copy': to => exec(varveProgram, ['copy', '--json', from, to], { env }),
    'skopeo copy': to =>
      exec(
        'skopeo',
        [
          ...['copy', '--quiet', '--src-tls-verify=false', '--dest-tls-verify=false'],
          ...[`docker://${from}`, `docker://${to}`],
        ],
        { env },
      ),
    'crane copy': to => exec(crane, ['copy', '--insecure', from, to], { env }),
  }
  const results = new Map<string, Timed[]>()
  for (let turn = 0; turn < options.runs; turn += 1)
    for (const [name, copy] of Object.entries(copies)) {
      if (!options.only.some(part => name.includes(part))) continue
      const directory = join(path, 'target')
      await mkdir(directory)
      await using started = new AsyncDisposableStack()
      started.defer(() => rm(directory, { recursive: true }))
      const target = await startDockerRegistry(directory)
      started.defer(() => target.stop())
      const time = await timed(async () => void (await copy(`${new URL(target.url).host}/bench/large:1`)))
      results.set(name, [...(results.get(name) ?? []), time])
      console.log(`${name}: ${time.seconds.toFixed(2)} s, ${time.cpuSeconds.toFixed(2)} s CPU`)
    }
  const [first = []] = results.values()
  const ours = median(first.map(({ seconds }) => seconds))
  return [...results].map(([name, times]) => {
    const seconds = median(times.map(time => time.seconds))
    const cpu = median(times.map(time => time.cpuSeconds))
    const rate = `${formatBytes((options.layers * options.bytes) / seconds)}/s`
    return [name, `${seconds.toFixed(2)} s`, `${(seconds / ours).toFixed(2)}×`, `${cpu.toFixed(2)} s`, rate]
  })
}

async function pushLarge(url: string, { layers, bytes }: LargeOptions): Promise<void> {
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
  const descriptor = (mediaType: string, digest: Digest, size: number) => ({ mediaType, digest, size })
  const described = []
  for (let index = 0; index < layers; index += 1) {
    const noise = new Noise(bytes)
    await pushNoise(url, 'bench/large', noise)
    described.push(descriptor('application/vnd.oci.image.layer.v1.tar', noise.digest, noise.size))
  }
  await pushBlob(url, 'bench/large', config)
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: descriptor(mediaTypes.ociConfig, digestOf(config), config.length),
    layers: described,
  }
  await putManifest(url, 'bench/large', '1', Buffer.from(JSON.stringify(manifest)))
}
