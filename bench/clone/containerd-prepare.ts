import { randomBytes } from 'node:crypto'
import { startContainerd } from '../../test/support/containerd.ts'
import { RegistryClient } from '../../test/support/registry-client.ts'
import { dir, file, tar } from '../../test/support/tar.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { pushTestImage } from '../../test/support/test-images.ts'
import { startVarve } from '../registry/contender.ts'
import { fileBytes } from './random-chain.ts'
import { timed } from './times.ts'

/** Milliseconds of `ctr snapshots prepare`, which copies the tree; its start, some ten milliseconds, is in it. */
export async function prepareInContainerd(bytes: number, directory: string, runs: number): Promise<number[]> {
  await using stack = new AsyncDisposableStack()
  const data = stack.use(await temporaryDirectory())
  const registry = await startVarve(data.path)
  stack.defer(() => registry.stop())
  const image = `${new URL(registry.url).host}/bench/random:1`
  await pushTestImage(new RegistryClient(registry.url), 'bench/random', '1', { layers: [randomLayer(bytes)] })
  const daemon = await startContainerd(directory)
  stack.defer(() => daemon.stop())
  await daemon.ctr('images', 'pull', '--plain-http', '--snapshotter=native', image)
  const snapshots = (...args: readonly string[]) =>
    daemon.ctr('snapshots', '--snapshotter', 'native', ...args)
  const chain = /^(sha256:[0-9a-f]{64})\b/m.exec(await snapshots('list'))?.[1]
  if (chain === undefined) throw new Error('containerd has not unpacked the image')
  const times: number[] = []
  for (let run = 0; run < runs; run += 1) {
    times.push(await timed(() => snapshots('prepare', 'timed', chain)))
    await snapshots('remove', 'timed')
  }
  return times
}

/** The same tree as a random chain has. */
function randomLayer(bytes: number): Buffer {
  const numbers = Array.from({ length: bytes / fileBytes }, (_, number) => number)
  return tar(
    ...numbers.flatMap(number => [
      ...(number % 100 === 0 ? [dir(String(number / 100))] : []),
      file(`${Math.floor(number / 100)}/${number % 100}`, randomBytes(fileBytes)),
    ]),
  )
}
