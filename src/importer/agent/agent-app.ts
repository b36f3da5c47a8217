import { PassThrough } from 'node:stream'
import Router from '@koa/router'
import Koa, { type Context } from 'koa'
import * as z from 'zod'
import { DomainError, errnoOf, isAbort, isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { defaultPlatform, parsePlatform } from '../../storage/platform.ts'
import { parseImageName } from '../../storage/reference.ts'
import { parseCloneName } from '../chain/clone-name.ts'
import type { ImportEvent, ImportRequest, ImportService } from '../import-service.ts'
import { ndjson, statusOf, toWire, type WireError } from './wire.ts'

/** Requests to the agent are small documents. Bytes. */
const maxBodyBytes = 64 * 1024
const importBody = z.strictObject({ image: z.string(), platform: z.string().optional() })
const cloneBody = z.strictObject({ image: z.string(), quota: z.int().positive().optional() })

/**
 * The HTTP API that a provisioner calls:
 *
 *     GET    /livez
 *     GET    /v1                        where chains and clones are
 *     POST   /v1/images                 {image, platform?} → NDJSON: progress, then `done` or `error`
 *     GET    /v1/images
 *     GET    /v1/image?image=…          with its layers, and what applying them did
 *     DELETE /v1/images?image=…
 *     GET    /v1/clones
 *     PUT    /v1/clones/NAME            {image, quota?}; idempotent
 *     DELETE /v1/clones/NAME
 */
export function createAgentApp(service: ImportService, log: Logger): Koa {
  const app = new Koa()
  const router = new Router()

  router.get('/livez', context => answer(context, 200, { status: 'ok' }))
  router.get('/v1', async context => answer(context, 200, { description: await service.describe() }))

  router.post('/v1/images', async context => {
    const { image, platform } = importBody.parse(await readJson(context))
    // After this the status is sent, so what is wrong with the request itself is found here.
    parseImageName(image)
    streamImport(
      context,
      service,
      { image, platform: platform ? parsePlatform(platform) : defaultPlatform },
      log,
    )
  })
  router.get('/v1/images', async context => answer(context, 200, await service.images()))
  router.get('/v1/image', async context => {
    answer(context, 200, await service.inspect(imageIn(context)))
  })
  router.delete('/v1/images', async context => {
    answer(context, 200, await service.removeImage(imageIn(context)))
  })

  router.get('/v1/clones', async context => answer(context, 200, await service.clones()))
  router.put('/v1/clones/:name', async context => {
    const { image, quota } = cloneBody.parse(await readJson(context))
    answer(context, 200, await service.clone(image, nameIn(context), { quota }))
  })
  router.delete('/v1/clones/:name', async context => {
    await service.destroyClone(nameIn(context))
    answer(context, 200, {})
  })

  app.use((context, next) => logged(context, next, log))
  app.use((context, next) => withErrors(context, next, log))
  app.use(router.routes())
  app.use(context => {
    throw new DomainError('not_found', `The agent has no ${context.method} ${context.path}.`, {
      resource: 'request',
    })
  })
  app.on('error', (error: unknown) => {
    // A client that leaves in the middle of an answer.
    if (errnoOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE') log.error({ error }, 'unexpected error')
  })
  return app
}

function imageIn(context: Context): string {
  return z.object({ image: z.string() }).parse(context.query).image
}

function nameIn(context: { params: Record<string, string> }) {
  return parseCloneName(context.params['name'] ?? '')
}

/** The status is sent before the work is done, so success and failure are the stream's last line. */
function streamImport(context: Context, service: ImportService, request: ImportRequest, log: Logger): void {
  const client = new AbortController()
  const lines = new PassThrough()
  const write = (line: ImportEvent | WireError | { type: 'done' }): void => {
    if (!lines.destroyed) lines.write(`${JSON.stringify(line)}\n`)
  }
  // A provisioner that goes away no longer needs the image; finished layers stay.
  lines.on('close', () => client.abort())
  service
    .import(request, { signal: client.signal, onEvent: write })
    .then(result => write({ type: 'done', ...result }))
    .catch((error: unknown) => {
      if (!isAbort(error)) write(describeError(error, log))
    })
    .finally(() => lines.end())
  context.status = 200
  context.type = ndjson
  context.body = lines
}

async function withErrors(context: Context, next: () => Promise<void>, log: Logger): Promise<void> {
  try {
    await next()
  } catch (error) {
    const known = error instanceof z.ZodError ? invalidRequest(error) : error
    answer(context, isDomainError(known) ? statusOf[known.code] : 500, describeError(known, log))
  }
}

function describeError(error: unknown, log: Logger): WireError {
  if (isDomainError(error)) return toWire(error)
  log.error({ error }, 'unexpected error')
  return {
    error: {
      code: 'internal',
      message: 'The agent failed in a way that it does not know; its log says more.',
    },
  }
}

function invalidRequest(error: z.ZodError): DomainError {
  const [issue] = error.issues
  return new DomainError(
    'invalid',
    `The request is not valid: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}.`,
    {
      resource: 'request',
    },
  )
}

async function logged(context: Context, next: () => Promise<void>, log: Logger): Promise<void> {
  const started = performance.now()
  await next()
  const milliseconds = Math.round(performance.now() - started)
  log.info({ method: context.method, path: context.path, status: context.status, milliseconds }, 'request')
}

function answer(context: Context, status: number, body: unknown): void {
  context.body = `${JSON.stringify(body)}\n`
  context.status = status
  context.set('Content-Type', 'application/json')
}

async function readJson(context: Context): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of context.req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBodyBytes)
      throw new DomainError('too_large', `The request has more than ${maxBodyBytes} bytes.`, {
        resource: 'request',
      })
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (cause) {
    throw new DomainError('invalid', 'The request is not JSON.', { resource: 'request' }, { cause })
  }
}
