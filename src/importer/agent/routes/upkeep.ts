import { type AgentRoute, json, route } from '../route.ts'
import { done, noBody, poolQuery } from '../schemas/common.ts'
import {
  history,
  pruneReport,
  pruneRequest,
  publishedImage,
  publishedImages,
  publishRequest,
} from '../schemas/upkeep.ts'

export const upkeepRoutes: readonly AgentRoute[] = [
  route({
    method: 'POST',
    path: '/v1/prune',
    operation: 'prune',
    summary: 'Removes images that nobody has used for long, or as many as it takes to free what is wanted.',
    description: 'Without any bound nothing is removed. Images that clones or publications need never are.',
    query: poolQuery,
    body: pruneRequest,
    answers: { 200: { description: 'What was removed and what was kept.', schema: pruneReport } },
    handle: async ({ query, body, signal }, { pools }) =>
      json(await pools.get(query.pool).service.prune(body, { signal })),
  }),
  route({
    method: 'GET',
    path: '/v1/history',
    operation: 'history',
    summary: 'Every lineage with its snapshots, and what was cloned from them.',
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'A forest.', schema: history } },
    failures: ['unsupported'],
    handle: async ({ query, signal }, { pools }) =>
      json(await pools.get(query.pool).service.history({ signal })),
  }),
  route({
    method: 'PUT',
    path: '/v1/published',
    operation: 'published.make',
    summary: 'Makes an image one that SmartOS knows, as POOL/UUID@final; what is there already stays.',
    query: poolQuery,
    body: publishRequest,
    answers: { 200: { description: 'Where it is.', schema: publishedImage } },
    failures: ['not_found', 'conflict', 'unsupported', 'busy'],
    handle: async ({ query, body }, { pools }) =>
      json(await pools.get(query.pool).service.publish(body.image)),
  }),
  route({
    method: 'GET',
    path: '/v1/published',
    operation: 'published.list',
    summary: 'The images that SmartOS knows by us.',
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'All of them.', schema: publishedImages } },
    failures: ['unsupported'],
    handle: async ({ query, signal }, { pools }) =>
      json(await pools.get(query.pool).service.published({ signal })),
  }),
  route({
    method: 'DELETE',
    path: '/v1/published/:uuid',
    operation: 'published.remove',
    summary: 'Takes back what published.make has made.',
    params: { uuid: 'The UUID of the image.' },
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'It is gone.', schema: done } },
    failures: ['not_found', 'conflict', 'unsupported', 'busy'],
    handle: async ({ query, params }, { pools }) => {
      await pools.get(query.pool).service.unpublish(params['uuid'] ?? '')
      return json({})
    },
  }),
]
