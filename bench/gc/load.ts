import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { expect, pushBlob, putManifest } from '../registry/content.ts'

/** How long pushes and pulls have taken, each as a whole, in milliseconds. */
export interface Latencies {
  readonly pushes: readonly number[]
  readonly pulls: readonly number[]
}

const clients = { push: 4, pull: 4 }
/** Between what one client does. */
const pauseMs = 50
const layerBytes = 16 * 1024
const repository = 'team/app'
const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')

/** Clients that push and pull small images until `until` has resolved: where there are bytes, those are what takes the time. */
export async function underLoad(url: string, until: Promise<unknown>): Promise<Latencies> {
  let isOver = false
  const over = until.finally(() => {
    isOver = true
  })
  const layer = await pushImage(url, 'pulled')
  const pushes: number[] = []
  const pulls: number[] = []
  const client = async (times: number[], work: () => Promise<unknown>): Promise<void> => {
    while (!isOver) {
      const started = performance.now()
      await work()
      times.push(performance.now() - started)
      await sleep(pauseMs)
    }
  }
  await Promise.all([
    ...Array.from({ length: clients.push }, (_, index) =>
      client(pushes, () => pushImage(url, `pushed-${index}`)),
    ),
    ...Array.from({ length: clients.pull }, () => client(pulls, () => pullImage(url, layer))),
    over,
  ])
  return { pushes, pulls }
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN
}

/** Of a layer that nobody has. */
async function pushImage(url: string, tag: string): Promise<Digest> {
  const bytes = randomBytes(layerBytes)
  const layer = await pushBlob(url, repository, bytes)
  const digest = digestOf(config)
  await expect(201, 'POST', `${url}/v2/${repository}/blobs/uploads/?digest=${digest}`, config)
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest, size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: bytes.length }],
  }
  await putManifest(url, repository, tag, Buffer.from(JSON.stringify(manifest)))
  return layer
}

async function pullImage(url: string, layer: Digest): Promise<void> {
  for (const path of ['manifests/pulled', `blobs/${layer}`]) {
    const { statusCode, body } = await request(`${url}/v2/${repository}/${path}`)
    await body.arrayBuffer()
    if (statusCode !== 200) throw new Error(`GET ${path}: ${statusCode}`)
  }
}
