/**
 * Many clients who pull one cold image at once, through Varve and through Debian's docker-registry (`proxy.remoteurl`),
 * beside the same clients at the upstream itself, which is a docker-registry too: same machine, loopback, one process each,
 * access logs on.
 *
 *     make bench-pull-through [MIB=1024] [CLIENTS=64] [ONLY=varve,peer]
 *
 * What the upstream has sent is read from its access log. A first byte is measured from the moment when its client begins
 * to connect. On a machine with few cores the clients and three registries share them, in every line alike.
 */
import { randomFillSync } from 'node:crypto'
import { request } from 'undici'
import { formatBytes, formatDuration, formatTable } from '../src/cli/format.ts'
import { createDigester, type Digest } from '../src/storage/digest.ts'
import { mediaTypes } from '../src/storage/media-types.ts'
import { ensurePrograms } from '../test/support/programs.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { AccessLog } from './mirror/access-log.ts'
import { pullAtOnce, type Seen } from './pull-through/crowd.ts'
import { type Contender, dockerRegistryWith, startDockerRegistry, varveWith } from './registry/contender.ts'
import { pushBlob, putManifest, putWhole, repository } from './registry/content.ts'
import { median } from './registry/measure.ts'

const mebibyte = 1024 ** 2

/** One way to the image. */
interface Way {
  readonly name: string
  readonly contender: Contender
  /** Of its manifests and blobs. */
  readonly at: string
}

interface Image {
  readonly layer: Digest
  readonly size: number
}

export async function run(): Promise<void> {
  await ensurePrograms('curl')
  await using stack = new AsyncDisposableStack()
  const clients = setting('CLIENTS', 64)
  const place = stack.use(await temporaryDirectory()).path
  const upstream = await startDockerRegistry(place)
  stack.defer(() => upstream.stop())
  const log = new AccessLog(place)
  const image = await pushImage(upstream.url, setting('MIB', 1024) * mebibyte)
  await log.take()

  const one = await pullLayer({ name: 'one', contender: upstream, at: repository }, 1, image, place)
  const rows: string[][] = [row('direct, 1 client', one, one)]
  const direct = await pullLayer(
    { name: 'direct', contender: upstream, at: repository },
    clients,
    image,
    place,
  )
  rows.push(row(`direct, ${clients} clients`, direct, direct))
  await log.take()
  for (const start of waysTo(upstream, stack)) {
    const way = await start()
    const before = await way.contender.peakMemory()
    const manifests = await pullAtOnce(clients, `${way.contender.url}/v2/${way.at}/manifests/latest`, place)
    const cold = await pullLayer(way, clients, image, place)
    const { bytes, kinds } = await log.take()
    const memory = await way.contender.peakMemory()
    rows.push([
      ...row(`${way.name}, ${clients} clients`, cold, direct),
      `${formatBytes(bytes)} (${(bytes / image.size).toFixed(2)}×)`,
      String(kinds.get('GET blobs') ?? 0),
      `${formatBytes(before)} + ${formatBytes(memory - before)}`,
    ])
    console.log(rows.at(-1)?.join('  '), `manifests: ${formatDuration(manifests.firstBytes.at(-1) ?? 0)}`)
    await way.contender.stop()
  }
  const headings = ['', 'first byte: median', 'last client', 'of direct', 'all done', 'of direct']
  console.log(
    `\n${formatTable([...headings, 'sent by upstream', 'GET blobs', 'peak memory'], rows.map(padded))}`,
  )
}

function* waysTo(upstream: Contender, stack: AsyncDisposableStack): Generator<() => Promise<Way>> {
  const { host } = new URL(upstream.url)
  const started = async (name: string, start: typeof startDockerRegistry, at: string): Promise<Way> => {
    const contender = await start(stack.use(await temporaryDirectory()).path)
    stack.defer(() => contender.stop())
    return { name, contender, at }
  }
  const upstreams = [{ name: 'hub', registry: host, prefix: 'hub' }]
  if (isWanted('varve')) yield () => started('varve', varveWith({ upstreams }), `hub/${repository}`)
  const proxy = { remoteurl: upstream.url }
  const peer: typeof startDockerRegistry = directory =>
    dockerRegistryWith({ filesystem: { rootdirectory: directory } }, { proxy })(directory)
  if (isWanted('peer')) yield () => started('docker-registry', peer, repository)
}

async function pullLayer(way: Way, clients: number, image: Image, place: string): Promise<Seen> {
  const seen = await pullAtOnce(clients, `${way.contender.url}/v2/${way.at}/blobs/${image.layer}`, place)
  if (seen.bytes !== clients * image.size) throw new Error(`${way.name}: ${seen.bytes} bytes came`)
  return seen
}

async function pushImage(url: string, size: number): Promise<Image> {
  const bytes = randomFillSync(Buffer.allocUnsafe(size))
  const digester = createDigester('sha256')
  digester.update(bytes)
  const layer = digester.digest()
  await putWhole(url, repository, bytes, layer)
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
  const digest = await pushBlob(url, repository, config)
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest, size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size }],
  }
  await putManifest(url, repository, 'latest', Buffer.from(JSON.stringify(manifest)))
  const { statusCode, body } = await request(`${url}/v2/${repository}/blobs/${layer}`, { method: 'HEAD' })
  await body.dump()
  if (statusCode !== 200) throw new Error(`the image is not there: ${statusCode}`)
  return { layer, size }
}

function row(name: string, seen: Seen, direct: Seen): string[] {
  const last = seen.firstBytes.at(-1) ?? Number.NaN
  const ratio = (value: number, other: number | undefined): string =>
    `${(value / (other ?? Number.NaN)).toFixed(2)}×`
  return [
    name,
    formatDuration(median(seen.firstBytes)),
    formatDuration(last),
    ratio(last, direct.firstBytes.at(-1)),
    formatDuration(seen.all),
    ratio(seen.all, direct.all),
  ]
}

const columns = 9

function padded(cells: readonly string[]): string[] {
  return [...cells, ...Array.from({ length: columns - cells.length }, () => '')]
}

function setting(name: string, byDefault: number): number {
  return Number(process.env[name] || byDefault)
}

function isWanted(name: string): boolean {
  const only = process.env['ONLY'] ?? ''
  return only === '' || only.split(',').includes(name)
}

if (import.meta.main) await run()
