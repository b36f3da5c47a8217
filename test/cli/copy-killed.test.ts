import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes } from '../../src/cli/exit.ts'
import { digestOf, hexOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { storedManifest } from '../support/image-graph.ts'
import { runVarve } from '../support/run-varve.ts'
import { serveScript } from '../support/scripted-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const layer = randomBytes(3_000_000)
const config = Buffer.from('{}')
const blobs = new Map([config, layer].map(bytes => [digestOf(bytes), bytes] as const))
const image = storedManifest({
  mediaType: mediaTypes.ociManifest,
  config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
  layers: [
    { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(layer), size: layer.length },
  ],
})

describe('varve copy that is ended in the middle of a blob', () => {
  for (const [signal, code] of [
    ['SIGKILL', null],
    ['SIGTERM', exitCodes.interrupted],
  ] as const)
    it(`by ${signal} is gone on with, and asks for the rest only`, async () => {
      await using directory = await temporaryDirectory()
      const layout = join(directory.path, 'layout')
      const partial = join(layout, '.varve', 'partial', `sha256-${hexOf(digestOf(layer))}`)
      const ranges: (string | undefined)[] = []
      let sent = 0
      await using source = await serveScript((_, response) => {
        answer(response, bytes => {
          ranges.push(response.req.headers.range)
          // The first time, a half, and then silence.
          if (ranges.length === 1) return void response.write(bytes.subarray(0, layer.length / 2))
          sent += bytes.length
          response.end(bytes)
        })
      })
      const from = `${source.host}/app:v1`
      const first = await runVarve(['copy', from, `oci:${layout}`], child => {
        void untilSize(partial, layer.length / 2).then(() => child.kill(signal))
      })
      assert.equal(first.code, code)
      const kept = (await stat(partial)).size
      assert.equal(kept, layer.length / 2)

      const second = await runVarve(['copy', from, `oci:${layout}`])
      assert.equal(second.code, 0, second.stderr)
      assert.deepEqual(ranges, [undefined, `bytes=${kept}-${layer.length - 1}`])
      assert.equal(sent, layer.length - kept)
      const third = await runVarve(['copy', `oci:${layout}`, `oci:${join(directory.path, 'verified')}`])
      assert.equal(third.code, 0, third.stderr)
    })
})

/** As much of a registry as a copy needs. @param sendLayer writes the answer for the layer, given what was asked for of it. */
function answer(response: ServerResponse, sendLayer: (bytes: Buffer) => void): void {
  const { url = '', method, headers } = response.req
  const digest = [...blobs.keys()].find(one => url.endsWith(`/blobs/${one}`))
  const bytes = digest === undefined ? undefined : blobs.get(digest)
  if (/^\/v2\/app\/manifests\/(?:v1|sha256:)/.test(url) && !url.endsWith(digestOf(config))) {
    response.setHeader('content-type', image.mediaType)
    response.setHeader('content-length', image.size)
    response.setHeader('docker-content-digest', image.digest)
    response.end(method === 'HEAD' ? undefined : image.bytes)
  } else if (bytes !== undefined) {
    const [, first = '0'] = /^bytes=(\d+)-/.exec(headers.range ?? '') ?? []
    const part = bytes.subarray(Number(first))
    if (headers.range !== undefined) {
      response.statusCode = 206
      response.setHeader('content-range', `bytes ${first}-${bytes.length - 1}/${bytes.length}`)
    }
    response.setHeader('content-length', part.length)
    if (method === 'HEAD') response.end()
    else if (bytes === layer) sendLayer(part)
    else response.end(part)
  } else if (url === '/v2/') response.end('{}')
  else {
    response.statusCode = 404
    response.end('{"errors":[]}')
  }
}

async function untilSize(path: string, size: number): Promise<void> {
  for (;;) {
    const info = await stat(path).catch(() => undefined)
    if ((info?.size ?? 0) >= size) return
    await sleep(20)
  }
}
