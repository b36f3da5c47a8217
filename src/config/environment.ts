/** Names that users of distribution have in their recipes, and our own of before. */
const aliases: Readonly<Record<string, string>> = {
  REGISTRY_HTTP_ADDR: 'registry.address',
  REGISTRY_HTTP_DEBUG_ADDR: 'registry.metricsAddress',
  REGISTRY_LOG_LEVEL: 'log.level',
  REGISTRY_PROXY_PASSWORD: 'proxy.password',
  REGISTRY_PROXY_REMOTEURL: 'proxy.remoteUrl',
  REGISTRY_PROXY_USERNAME: 'proxy.username',
  REGISTRY_STORAGE: 'storage.driver',
  REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: 'data',
  REGISTRY_STORAGE_S3_ACCESSKEY: 'storage.s3.accessKeyId',
  REGISTRY_STORAGE_S3_BUCKET: 'storage.s3.bucket',
  REGISTRY_STORAGE_S3_FORCEPATHSTYLE: 'storage.s3.pathStyle',
  REGISTRY_STORAGE_S3_REGION: 'storage.s3.region',
  REGISTRY_STORAGE_S3_REGIONENDPOINT: 'storage.s3.endpoint',
  REGISTRY_STORAGE_S3_SECRETKEY: 'storage.s3.secretAccessKey',
  VARVE_IMPORTER_MAX_LAYER_BYTES: 'importer.layers.maxBytes',
}

/** Each variable with the key that it sets; Varve's own come last, so that they win. */
export function* environmentNames(keys: Iterable<string>): Generator<[string, string]> {
  yield* Object.entries(aliases)
  for (const key of keys) yield [environmentName(key), key]
}

/** `registry.idleTimeoutSeconds` is `VARVE_REGISTRY_IDLE_TIMEOUT_SECONDS`. */
export function environmentName(key: string): string {
  return `VARVE_${key
    .replace(/[A-Z]/g, letter => `_${letter}`)
    .replaceAll('.', '_')
    .toUpperCase()}`
}
