import { randomUUID } from 'node:crypto'
import type { S3ServerKind } from '../../test/support/s3-server.ts'
import { expect } from '../registry/content.ts'
import { median } from '../registry/measure.ts'
import { startOnS3 } from './contenders.ts'
import { Noise } from './noise.ts'
import { sendNoise } from './push-noise.ts'

/** Few where the peer takes two minutes to be sent a gibibyte. */
const turns: Readonly<Record<S3ServerKind, number>> = { minio: 3, versitygw: 1 }
const bytes = 1024 ** 3

/** The second is a number by which no part size can be divided, so that each PATCH leaves a tail. */
const ways: readonly (readonly [name: string, patches: number])[] = [
  ['one streamed PATCH', 1],
  ['7 PATCHes with Content-Range', 7],
]

/**
 * How long the closing PUT takes, which is when the peer copies the upload to where blobs are. MinIO ends a multipart
 * upload at once; versitygw writes all parts into one file then, which either registry waits for.
 */
export async function compareCommits(kind: S3ServerKind): Promise<string[][]> {
  await using contenders = await startOnS3(kind)
  const rows: string[][] = []
  for (const [name, patches] of ways) {
    const peer: number[] = []
    const varve: number[] = []
    for (let turn = 0; turn < turns[kind]; turn += 1) {
      const noise = new Noise(bytes)
      peer.push(await commitMs(contenders.peer.url, noise, patches))
      varve.push(await commitMs(contenders.varve.url, noise, patches))
    }
    const [their, our] = [median(peer), median(varve)]
    const milliseconds = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ms`
    rows.push([`${kind}, ${name}`, milliseconds(their), milliseconds(our), `${(their / our).toFixed(0)}×`])
  }
  return rows
}

async function commitMs(url: string, noise: Noise, patches: number): Promise<number> {
  const closing = await sendNoise(url, `commit/${randomUUID()}`, noise, patches)
  const started = performance.now()
  await expect(201, 'PUT', closing)
  return performance.now() - started
}
