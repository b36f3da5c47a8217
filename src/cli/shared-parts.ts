import type { Config } from '../config.ts'
import { ThreadedLayerEngine } from '../importer/layer/engine/threaded-layer-engine.ts'
import type { LayerEngine } from '../importer/layer/layer-engine.ts'
import { addressRanges } from '../storage/address-ranges.ts'
import type { ConfiguredCredentials } from '../storage/remote/credentials/configured-credentials.ts'
import type { ImageSource } from '../storage/remote/image-source.ts'
import { createCredentials } from './create-credentials.ts'
import { RegistryImageSource } from '../storage/remote/registry-image-source.ts'

/** What the importers of all pools have in common: their threads, and their connections to registries. */
export interface SharedParts extends AsyncDisposable {
  readonly engine: LayerEngine
  readonly source: ImageSource
  readonly credentials: ConfiguredCredentials
}

/** Begins no thread and asks nobody until there is something to import. */
export function createSharedParts(config: Config): SharedParts {
  const { layers, plainHttp } = config.importer
  const {
    devices,
    fifos,
    xattrs,
    downloads: _downloads,
    spoolBytes: _spoolBytes,
    applying,
    ahead,
    bufferBytes,
    heapBytes,
    ...limits
  } = layers
  const engine = new ThreadedLayerEngine({
    limits,
    policy: { devices, fifos, xattrs },
    applying,
    ahead,
    bufferBytes,
    heapBytes,
  })
  const credentials = createCredentials(config)
  const source = new RegistryImageSource({
    plainHttp: hostsIn(plainHttp),
    credentials,
    connections: { privateRedirects: addressRanges(config.remote.privateRedirects) },
  })
  return {
    engine,
    source,
    credentials,
    [Symbol.asyncDispose]: async () => {
      await using parts = new AsyncDisposableStack()
      parts.use(source)
      parts.use(engine)
    },
  }
}

function hostsIn(list: string): string[] {
  return list
    .split(',')
    .map(host => host.trim())
    .filter(host => host !== '')
}
