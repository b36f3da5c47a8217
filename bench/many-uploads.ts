/**
 * Uploads of 1 GiB at once into `varve serve`, and the most memory that was resident meanwhile. What has been written is
 * taken out of the files again (fallocate, from util-linux), since nobody reads it: 64 GiB of free disk are not needed.
 *
 * node bench/many-uploads.ts [uploads, 64] [MiB of each, 1024]
 */
import { execFile } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { serveRegistry } from '../test/support/served-registry.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { pushMany } from '../test/support/upload-load.ts'

const MiB = 1024 * 1024
const [uploads = 64, size = 1024] = process.argv.slice(2).map(Number)

const run = promisify(execFile)

/** Frees the blocks of all large files below a directory; their sizes stay. */
async function punchHoles(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.includes('.')) continue
    const path = join(entry.parentPath, entry.name)
    try {
      const { size: bytes, blocks } = await stat(path)
      if (blocks * 512 < 32 * MiB) continue
      await run('fallocate', ['--punch-hole', '--offset', '0', '--length', String(bytes), path])
    } catch {
      // It has been committed meanwhile, and is found under its other name next time.
    }
  }
}

await using directory = await temporaryDirectory()
await using registry = await serveRegistry(directory.path, '--log-level', 'info')
const done = new AbortController()
const freeing = (async () => {
  while (!done.signal.aborted) {
    await punchHoles(join(directory.path, 'registry'))
    await sleep(1000, undefined, { signal: done.signal }).catch(() => {})
  }
})()
const startedAt = performance.now()
await pushMany({ url: registry.url, uploads, bytes: size * MiB })
const seconds = (performance.now() - startedAt) / 1000
done.abort()
await freeing
const peak = (await registry.peakBytes()) / MiB
console.log(
  `${uploads} uploads of ${size} MiB at once: ${peak.toFixed(0)} MiB resident at most, ${seconds.toFixed(0)} s, ` +
    `${((uploads * size) / seconds).toFixed(0)} MiB/s`,
)
