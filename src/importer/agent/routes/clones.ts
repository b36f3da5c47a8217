import { parseCloneName } from '../../chain/clone-name.ts'
import type { CloneOutcome } from '../../import-service.ts'
import { ensureClone, ensureClones } from '../../clones/ensure-clone.ts'
import type { JobSummary } from '../../jobs/job-records.ts'
import { type AgentAnswer, type AgentRoute, json, route } from '../route.ts'
import { cloneOutcomes, clonedImage, cloneRequest, clones, clonesRequest } from '../schemas/clones.ts'
import { done, noBody, poolQuery } from '../schemas/common.ts'
import { job } from '../schemas/imports.ts'
import { toWire } from '../wire.ts'
import { importRequestOf, locationOf } from './imports.ts'

const params = {
  name: 'Of the clone: letters, digits and _ . -, beginning with a letter or digit, at most 128.',
}

/** Seconds that a request waits for an import when it does not say, and those after which asking again is worth it. */
const [defaultWait, askAgainAfter] = [60, 2]

const pending = {
  description: 'The wait was over first; the import goes on. Ask again, in the same words.',
  schema: job,
  headers: { Location: 'Of the import.', 'Retry-After': 'Seconds.' },
}

export const cloneRoutes: readonly AgentRoute[] = [
  route({
    method: 'PUT',
    path: '/v1/clones/:name',
    operation: 'clone.ensure',
    summary: 'Makes a writable tree of an image for a zone, and imports the image first where pull says so.',
    description: 'Idempotent: the same name and image give the clone that is there.',
    params,
    query: poolQuery,
    body: cloneRequest,
    answers: {
      200: { description: 'All that a provisioner needs to run it.', schema: clonedImage },
      202: pending,
    },
    failures: ['not_found', 'conflict', 'unsupported', 'denied', 'busy', 'no_space', 'digest_mismatch'],
    handle: async ({ query, body, params: { name }, signal }, { pools }) => {
      const { service, jobs } = pools.get(query.pool)
      const { pull, waitSeconds = defaultWait, priority, quota, mountpoint, properties, ...image } = body
      const made = await ensureClone(
        { service, jobs },
        {
          ...importRequestOf(image),
          name: parseCloneName(name ?? ''),
          pull,
          priority,
          options: { quota, mountpoint, properties },
        },
        { waitMs: waitSeconds * 1000, signal },
      )
      return 'pending' in made ? later(made.pending, query.pool) : json(made)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/clones',
    operation: 'clone.ensureMany',
    summary: 'Makes many clones of one image by one call.',
    description:
      'Idempotent by name. Each name has its own outcome: a clone or an error; one that fails keeps none of the others from it.',
    query: poolQuery,
    body: clonesRequest,
    maxBodyBytes: 4 * 1024 * 1024,
    answers: {
      200: { description: 'One outcome for each name, in their order.', schema: cloneOutcomes },
      202: pending,
    },
    failures: ['not_found', 'conflict', 'unsupported', 'denied', 'busy', 'no_space', 'digest_mismatch'],
    handle: async ({ query, body, signal }, { pools }) => {
      const { service, jobs } = pools.get(query.pool)
      const { names, pull, waitSeconds = defaultWait, priority, quota, properties, ...image } = body
      const made = await ensureClones(
        { service, jobs },
        {
          ...importRequestOf(image),
          names: names.map(parseCloneName),
          pull,
          priority,
          options: { quota, properties },
        },
        { waitMs: waitSeconds * 1000, signal },
      )
      return 'pending' in made ? later(made.pending, query.pool) : json(made.map(wireOutcome))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/clones',
    operation: 'clone.list',
    summary: 'The clones that are there.',
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'In byte order of their names.', schema: clones } },
    handle: async ({ query, signal }, { pools }) =>
      json(await pools.get(query.pool).service.clones({ signal })),
  }),
  route({
    method: 'GET',
    path: '/v1/clones/:name',
    operation: 'clone.get',
    summary: 'What making the clone has answered, as it is now.',
    params,
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'It.', schema: clonedImage } },
    handle: async ({ query, params: { name }, signal }, { pools }) =>
      json(await pools.get(query.pool).service.inspectClone(parseCloneName(name ?? ''), { signal })),
  }),
  route({
    method: 'DELETE',
    path: '/v1/clones/:name',
    operation: 'clone.destroy',
    summary: 'Destroys a clone and all that was written into it.',
    params,
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'It is gone.', schema: done } },
    failures: ['busy', 'conflict'],
    handle: async ({ query, params: { name } }, { pools }) => {
      await pools.get(query.pool).service.destroyClone(parseCloneName(name ?? ''))
      return json({})
    },
  }),
]

function later(summary: JobSummary, pool: string | undefined): AgentAnswer {
  return json(summary, 202, {
    Location: locationOf(summary.id, pool),
    'Retry-After': String(askAgainAfter),
  })
}

function wireOutcome(outcome: CloneOutcome): object {
  return 'clone' in outcome ? outcome : { name: outcome.name, ...toWire(outcome.error) }
}
