/** A proxied registry in a process of its own: `DIRECTORY PORT-OF-UPSTREAM OPTIONS-AS-JSON`. Speaks by messages. */
import { BlobUpstreamSource } from './blob-upstream.ts'
import { collectGarbage } from './live-memory.ts'
import { type ProxiedRegistryOptions, startProxiedRegistry } from './proxied-registry.ts'

const [directory, port, options] = process.argv.slice(2)
const registry = await startProxiedRegistry(new BlobUpstreamSource(Number(port)), {
  directory,
  ...(JSON.parse(options ?? '{}') as ProxiedRegistryOptions),
})

/** Of all that JavaScript holds: objects, and the memory of chunks. */
const used = (): number => {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
collectGarbage()
const before = used()
let most = 0
setInterval(() => {
  // Garbage that has not been collected yet says nothing.
  collectGarbage()
  most = Math.max(most, used() - before)
}, 250).unref()

process.on('message', () => process.send?.({ mostBytes: most }))
process.send?.({ url: registry.url })
