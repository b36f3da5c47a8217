/**
 * Imports of one large layer, and of one layer with 100,000 small files, beside what others do with the same layer on the
 * same file system: wall time, processor time, memory. Needs root and 5 GB in the temporary directory.
 *
 *     make bench-import [ONLY=varve,tar] [IMAGES=large,small] [RUNS=3]
 *
 * All take turns, each on a new, empty file system and when the disk is idle (sync). Nobody's caches are dropped, so from
 * the second turn on all read from memory. The registry is a process of its own, whose work counts for nobody. `ON DISK`
 * is wall time with a sync(1) of the file system after it; an import of Varve has done that itself.
 */
import { readFile } from 'node:fs/promises'
import { parseImageConfig } from '../src/storage/image-config.ts'
import { blobPath, findTag, readManifest } from '../test/fixtures/image/oci-layout.ts'
import { largeLayerImage, type LayoutImage, smallFilesImage } from '../test/fixtures/real-images.ts'
import { skopeoCopy } from '../test/support/client-registry.ts'
import { ensurePrograms } from '../test/support/programs.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { containerdPull } from './import/containerd-pull.ts'
import type { ImportContender, ImportJob } from './import/contender.ts'
import { gnuTar } from './import/gnu-tar.ts'
import { podmanPull } from './import/podman-pull.ts'
import { formatResults, formatUsage } from './import/report.ts'
import { onScratchDisk } from './import/scratch-disk.ts'
import { umociUnpack } from './import/umoci-unpack.ts'
import type { Usage } from './import/usage.ts'
import { varveEngine } from './import/varve-engine.ts'
import { varveImport } from './import/varve-import.ts'
import { startVarve } from './registry/contender.ts'

const contenders: readonly ImportContender[] = [
  varveImport,
  varveEngine,
  gnuTar,
  umociUnpack,
  podmanPull,
  containerdPull,
]

const images: Readonly<Record<string, () => Promise<LayoutImage>>> = {
  large: largeLayerImage,
  small: () => smallFilesImage(100_000),
}

export async function run(): Promise<void> {
  const chosen = contenders.filter(({ name }) => isWanted(name, process.env['ONLY']))
  const runs = Number(process.env['RUNS'] || 3)
  await ensurePrograms('skopeo', 'mke2fs', ...chosen.flatMap(({ programs }) => programs))
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const registry = await startVarve(directory.path)
  stack.defer(() => registry.stop())
  for (const [name, make] of Object.entries(images)) {
    if (!isWanted(name, process.env['IMAGES'])) continue
    const job = await prepare(await make(), registry.url)
    console.log(`\n${name}: a layer of ${job.layer.size} bytes`)
    const results = new Map<ImportContender, Usage[]>(chosen.map(contender => [contender, []]))
    for (let turn = 1; turn <= runs; turn += 1)
      for (const [contender, usages] of results) {
        const usage = await onScratchDisk(disk => contender.run(job, disk))
        usages.push(usage)
        console.log(`${turn}/${runs} ${contender.name}: ${formatUsage(usage)}`)
      }
    console.log(`\n${formatResults(results)}`)
  }
}

/** @param list comma-separated beginnings of names; empty or none means all. */
function isWanted(name: string, list = ''): boolean {
  return list === '' || list.split(',').some(start => name.startsWith(start.trim()))
}

async function prepare({ layout, tag }: LayoutImage, url: string): Promise<ImportJob> {
  const image = `${new URL(url).host}/bench/${tag}:1`
  await skopeoCopy('--quiet', `oci:${layout}:${tag}`, `docker://${image}`)
  const manifest = await readManifest(layout, (await findTag(layout, tag)).digest)
  if (manifest.kind !== 'image') throw new Error(`${tag} of ${layout} is not an image manifest`)
  const { diffIds } = parseImageConfig(await readFile(blobPath(layout, manifest.config.digest)))
  const [layer] = manifest.layers
  const [diffId] = diffIds
  if (layer === undefined || diffId === undefined) throw new Error(`${tag} of ${layout} has no layer`)
  const { mediaType, digest: blob, size } = layer
  return { layout, tag, image, layerFile: blobPath(layout, blob), layer: { mediaType, blob, size, diffId } }
}
