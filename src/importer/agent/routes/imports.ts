import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../../errors.ts'
import { defaultPlatform, parsePlatform } from '../../../storage/platform.ts'
import type { ImportRequest } from '../../import-service.ts'
import type { ImportJob } from '../../jobs/import-job.ts'
import type { ImportJobs } from '../../jobs/import-jobs.ts'
import { ndjsonBody } from '../http/ndjson.ts'
import { type AgentAnswer, type AgentRoute, json, route } from '../route.ts'
import { noBody, poolQuery } from '../schemas/common.ts'
import { importQuery, importRequest, job, jobs, record } from '../schemas/imports.ts'
import { ndjson } from '../wire.ts'

const progress = {
  description:
    'One record a line, as it happens; the last one is done or error. A stream that ends without either is a failure.',
  type: ndjson,
  schema: record,
}
const params = { id: 'Of an import, from its Location.' }

export const importRoutes: readonly AgentRoute[] = [
  route({
    method: 'POST',
    path: '/v1/imports',
    operation: 'import.ensure',
    summary: 'Makes sure that an image is there; joins an import of the same image that has not ended.',
    description:
      'With follow=true the answer of status 200 is the progress (application/x-ndjson) instead of the import: its last record says how it has ended.',
    query: importQuery,
    body: importRequest,
    answers: {
      200: { description: 'It has ended, one way or the other; see its state.', schema: job },
      202: {
        description: 'It goes on, whether somebody asks or not.',
        schema: job,
        headers: { Location: 'Of the import.' },
      },
    },
    failures: ['busy'],
    handle: async ({ query, body, signal }, { pools }) => {
      const { jobs: all } = pools.get(query.pool)
      const { priority, waitSeconds = 0 } = body
      const request = importRequestOf(body)
      if (query.follow === 'true') {
        const followed = all.ensure(request, { priority, attached: true })
        return { status: 200, body: ndjsonBody(followed.follow()) }
      }
      const ensured = all.ensure(request, { priority })
      await endedWithin(ensured, waitSeconds, signal)
      return answerOf(ensured, query.pool)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/imports',
    operation: 'import.list',
    summary: 'Imports that wait, that run, and the latest of those that have ended.',
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'In the order in which they were asked for.', schema: jobs } },
    handle: ({ query }, { pools }) =>
      json(
        pools
          .get(query.pool)
          .jobs.list()
          .map(one => one.summary()),
      ),
  }),
  route({
    method: 'GET',
    path: '/v1/imports/:id',
    operation: 'import.get',
    summary: 'An import as it is now.',
    params,
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'It.', schema: job } },
    handle: ({ query, params: { id } }, { pools }) =>
      json(jobOf(pools.get(query.pool).jobs, id ?? '').summary()),
  }),
  route({
    method: 'GET',
    path: '/v1/imports/:id/events',
    operation: 'import.follow',
    summary: 'The progress of an import: where each layer is, and then whatever happens.',
    params,
    query: poolQuery,
    body: noBody,
    answers: { 200: progress },
    handle: ({ query, params: { id } }, { pools }) => ({
      status: 200,
      body: ndjsonBody(jobOf(pools.get(query.pool).jobs, id ?? '').follow()),
    }),
  }),
  route({
    method: 'DELETE',
    path: '/v1/imports/:id',
    operation: 'import.cancel',
    summary: 'Ends an import, whoever follows it; layers that are finished stay.',
    params,
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'As it has ended.', schema: job } },
    handle: ({ query, params: { id } }, { pools }) => {
      const { jobs: all } = pools.get(query.pool)
      const cancelled = jobOf(all, id ?? '')
      all.cancel(cancelled.id)
      return json(cancelled.summary())
    },
  }),
]

/** @throws DomainError `invalid`. */
export function importRequestOf({
  image,
  platform,
  credentials,
}: {
  readonly image: string
  readonly platform?: string | undefined
  readonly credentials?: string | undefined
}): ImportRequest {
  return {
    image,
    platform: platform === undefined ? defaultPlatform : parsePlatform(platform),
    ...(credentials === undefined ? {} : { credentials }),
  }
}

/** 200 for one that has ended, else 202 and where to ask. */
export function answerOf(ensured: ImportJob, pool: string | undefined): AgentAnswer {
  const summary = ensured.summary()
  if (summary.endedAt !== undefined) return json(summary)
  return json(summary, 202, { Location: locationOf(summary.id, pool) })
}

export function locationOf(id: string, pool: string | undefined): string {
  return `/v1/imports/${id}${pool === undefined ? '' : `?pool=${encodeURIComponent(pool)}`}`
}

/** @throws DomainError `not_found`. */
function jobOf(all: ImportJobs, id: string): ImportJob {
  const found = all.find(id)
  if (found !== undefined) return found
  throw new DomainError(
    'not_found',
    `There is no import ${id.slice(0, 64)}; those that ended long ago are forgotten.`,
    { resource: 'request', name: id.slice(0, 64) },
  )
}

async function endedWithin(ensured: ImportJob, seconds: number, signal: AbortSignal): Promise<void> {
  if (seconds === 0) return
  const over = new AbortController()
  try {
    const limit = sleep(seconds * 1000, undefined, { signal: AbortSignal.any([over.signal, signal]) })
    await Promise.race([ensured.ended({ signal: over.signal }).catch(() => undefined), limit])
  } finally {
    over.abort()
  }
}
